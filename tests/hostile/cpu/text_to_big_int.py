# Quadratic in the number of digits, the other way.
# expect: timeout
import sys


def main():
    sys.set_int_max_str_digits(0)
    while True:
        int("7" * 300_000)
