"""Functions that take and return functions: closures, decorators, caches, iterators."""

import functools
import itertools
import operator
from collections import Counter, OrderedDict, namedtuple

Point = namedtuple("Point", "x y")


def counted(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        wrapper.calls += 1
        return function(*args, **kwargs)

    wrapper.calls = 0
    return wrapper


@functools.lru_cache(maxsize=None)
def ways(amount, coins):
    if amount == 0:
        return 1
    if amount < 0 or not coins:
        return 0
    return ways(amount - coins[0], coins) + ways(amount, coins[1:])


@counted
def distance(left, right, cost=1):
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], min(row[j] + cost, row[j - 1] + cost, before + (a != b))
    return row[-1]


def adder(step):
    total = 0

    def add(count=1, **_):
        nonlocal total
        total += step * count
        return total

    return add


def hanoi(discs, source, target, spare):
    if discs == 0:
        return 0
    moved = hanoi(discs - 1, source, spare, target)
    return moved + 1 + hanoi(discs - 1, spare, target, source)


def ackermann(m, n):
    if m == 0:
        return n + 1
    return ackermann(m - 1, 1 if n == 0 else ackermann(m, n - 1))


def main():
    found = ways(180, (50, 20, 10, 5, 2, 1))
    words = ["kitten", "sitting", "saturday", "sunday", "rosettacode", "raisethysword"]
    nearest = min(itertools.combinations(words, 2), key=lambda pair: distance(*pair))
    for pair in itertools.product(words[:4], repeat=2):
        distance(pair[0], right=pair[1], cost=1)
    add = adder(3)
    for step in range(4_000):
        add(step % 4) if step % 2 else add(count=step, other=None)
    points = [Point(i % 10, i % 7) for i in range(1_000)]
    counts = Counter(point.x for point in points).most_common(3)
    groups = {k: len(list(g)) for k, g in itertools.groupby(sorted(points), key=operator.attrgetter("x"))}
    cache = OrderedDict()
    for i in range(2_500):
        cache[i % 120] = i
        cache.move_to_end(i % 120)
        if len(cache) > 64:
            cache.popitem(last=False)
    folded = functools.reduce(operator.mul, range(1, 60))
    running = list(itertools.accumulate(itertools.islice(itertools.cycle([1, -2, 4]), 900)))
    moves = hanoi(11, "a", "b", "c")
    return [found, nearest, distance.calls, add(), counts, len(groups), folded % 1009, running[-1],
            moves, ackermann(2, 40)]
