"""Generators that read from generators, `with`, and coroutines."""

import asyncio
import contextlib


def numbers(count):
    state = 12_345
    for _ in range(count):
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
        yield state >> 8


def batches(items, size):
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def walk(node):
    if isinstance(node, list):
        for child in node:
            yield from walk(child)
    else:
        yield node


def average():
    total, count, value = 0, 0, None
    while True:
        value = yield total / count if count else value
        total, count = total + value, count + 1


@contextlib.contextmanager
def tagged(out, name):
    out.append(f"<{name}>")
    try:
        yield out
    finally:
        out.append(f"</{name}>")


class Lock:
    held = 0

    def __enter__(self):
        Lock.held += 1
        return self

    def __exit__(self, *_):
        Lock.held -= 1
        return False


async def fetch(queue, number):
    await asyncio.sleep(0)
    with Lock():
        await queue.put(number * 2)
    return number


async def gather():
    queue = asyncio.Queue()
    done = await asyncio.gather(*(fetch(queue, number) for number in range(150)))
    total = 0
    while not queue.empty():
        total += await queue.get()
    return sum(done) + total


def nested(depth):
    return [nested(depth - 1), depth, nested(depth - 1)] if depth else [0]


def main():
    even = (number for number in numbers(9_000) if number % 2 == 0)
    sums = [sum(batch) for batch in batches(even, 10)]
    mean = average()
    next(mean)
    for value in sums:
        last = mean.send(value)
    leaves = sum(walk(nested(9)))
    out = []
    for name in range(500):
        with tagged(out, name) as inner, Lock():
            inner.append(str(name))
    missing = 0
    for key in range(2_000):
        try:
            missing += {0: 1, 5: 2}[key % 9]
        except KeyError:
            missing -= 1
    squares = {n: n * n for n in range(900) if any(n % d == 0 for d in (7, 11, 13))}
    return [round(last), leaves, len("".join(out)), missing, len(squares), asyncio.run(gather())]
