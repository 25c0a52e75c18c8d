# A random number of so many bits.
# expect: out-of-memory|failed
# error: MemoryError
import random


def main():
    return random.getrandbits(2**31 - 1).bit_length()
