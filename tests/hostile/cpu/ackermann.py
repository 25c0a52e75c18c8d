# Deep and long, and cached without an end.
# expect: timeout
import functools


@functools.cache
def ackermann(m, n):
    if m == 0:
        return n + 1
    return ackermann(m - 1, 1 if n == 0 else ackermann(m, n - 1))


def main():
    while True:
        try:
            ackermann(4, 2)
        except RecursionError:
            ackermann.cache_clear()
