# Iterators of iterators: the recursion is in native code alone.
# expect: failed
# error: RecursionError
import itertools


def main():
    items = iter([1])
    for _ in range(30_000):
        items = itertools.chain(items)
    return next(items)
