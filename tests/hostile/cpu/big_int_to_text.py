# Quadratic in the number of digits.
# expect: timeout
import sys


def main():
    sys.set_int_max_str_digits(0)
    n = 7**400_000
    while True:
        len(str(n))
