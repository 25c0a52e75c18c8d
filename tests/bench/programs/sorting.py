"""Lists: comprehensions, and sorting with a key."""


def main():
    numbers = [number * 7919 % 100_003 for number in range(30_000)]
    first = sorted(numbers)
    second = sorted(numbers, key=lambda number: (number % 100, -number))
    pairs = sorted((number % 10, str(number)) for number in numbers[:8_000])
    return [first[1_000], second[1_000], pairs[1_000][1]]
