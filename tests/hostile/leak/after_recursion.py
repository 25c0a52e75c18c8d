# The same of one that had filled its stack.
# plant: failed
# expect: succeeded
# result: [0, 300]
import sys


def plant(n=0):
    sys.setrecursionlimit(10**6)
    canary = ("tweet", n)
    return plant(n + 1)


def deep(n):
    return n and deep(n - 1)


def look():
    return [deep(300), 300]
