# The recipe to consume an iterator at native speed, on one without an end.
# expect: timeout
import collections
import itertools


def main():
    collections.deque(itertools.count(), maxlen=0)
