# Denominators that grow.
# expect: timeout
from fractions import Fraction


def main():
    total, n = Fraction(0), 1
    while True:
        total, n = total + Fraction(1, n), n + 1
