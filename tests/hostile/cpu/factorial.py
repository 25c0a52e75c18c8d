# A factorial that nobody needs.
# expect: timeout
import math


def main():
    return math.factorial(1_000_000) & 1
