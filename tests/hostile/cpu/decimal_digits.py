# Digits without an end, in pure Python or not.
# expect: timeout
import decimal


def main():
    decimal.getcontext().prec = 200_000
    return str(decimal.Decimal(2).sqrt().exp())[:3]
