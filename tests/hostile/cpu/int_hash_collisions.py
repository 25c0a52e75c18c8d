# The same with plain numbers: multiples of the modulus of their hash.
# expect: timeout
import sys


def main():
    step = sys.hash_info.modulus
    return len({n * step: None for n in range(10**6)})
