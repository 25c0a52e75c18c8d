# A cache that never forgets.
# expect: out-of-memory
# profile: patient
import functools


@functools.cache
def remember(n):
    return str(n) * 100


def main():
    n = 0
    while True:
        n += 1
        remember(n)
