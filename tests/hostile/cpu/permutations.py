# Twenty items, counted.
# expect: timeout
import itertools


def main():
    return sum(map(len, itertools.permutations(range(20))))
