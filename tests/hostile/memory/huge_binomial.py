# Combinatorics.
# expect: timeout
import math


def main():
    return math.comb(10**9, 5 * 10**8).bit_length() + math.perm(10**9)
