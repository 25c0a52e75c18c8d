# Settings of an interpreter with threads.
# expect: succeeded
# result: null
import sys


def main():
    for value in (1e-9, 1e9, float("inf"), -1, 0):
        try:
            sys.setswitchinterval(value)
        except (ValueError, OverflowError, AttributeError, TypeError):
            pass
    sys.setrecursionlimit(10**6)
