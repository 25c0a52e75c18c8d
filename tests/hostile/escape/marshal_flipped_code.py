# Compiled code with one bit turned, read again and run.
# expect: succeeded|failed|timeout|out-of-memory
import marshal
import random


def sample(a, b=2, *c, d=4, **e):
    try:
        return [x + a for x in range(b)] + list(c) + [d, e]
    finally:
        del a


def main():
    random.seed(3)
    data = marshal.dumps(sample.__code__)
    for _ in range(300):
        broken = bytearray(data)
        broken[random.randrange(len(broken))] ^= 1 << random.randrange(8)
        try:
            marshal.loads(bytes(broken))
        except Exception:
            pass
