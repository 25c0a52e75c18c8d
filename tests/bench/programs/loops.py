"""Integers in a loop."""


def main():
    total = 0
    for number in range(600_000):
        if number % 3:
            total += number & 255
        else:
            total -= number >> 4
    return total
