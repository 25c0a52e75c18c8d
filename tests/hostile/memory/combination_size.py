# More at a time than there are, or than there is room for.
# expect: out-of-memory|failed
# error: MemoryError
import itertools


def main():
    size = 2**31 - 1
    for make in (
        itertools.combinations,
        itertools.combinations_with_replacement,
        itertools.permutations,
    ):
        try:
            next(make("ab", size), None)
        except (MemoryError, OverflowError):
            pass
    itertools.tee([], 10**9)
