# A recursion limit that leaves no room to describe what happened.
# expect: failed
# error: RecursionError|ValueError|KeyError
import sys


def dive(n):
    if n:
        dive(n - 1)
    for limit in range(300, 0, -1):
        try:
            sys.setrecursionlimit(limit)
        except (RecursionError, ValueError):
            break
    raise KeyError(n)


def main():
    dive(50)
