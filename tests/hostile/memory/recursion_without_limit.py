# The limit is Python's; the stack is not.
# expect: failed
# error: RecursionError
import sys

sys.setrecursionlimit(2**31 - 1)


def main():
    return [main()]
