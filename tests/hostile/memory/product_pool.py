# The product of one long list with itself, very often.
# expect: out-of-memory|failed
# error: MemoryError
import itertools


def main():
    return next(itertools.product(range(10**5), repeat=10**5))
