"""Integers in `while` loops, and slices of lists."""


def sieve(limit):
    composite = [False] * (limit + 1)
    primes = []
    for candidate in range(2, limit + 1):
        if composite[candidate]:
            continue
        primes.append(candidate)
        multiple = candidate * candidate
        while multiple <= limit:
            composite[multiple] = True
            multiple += candidate
    return primes


def collatz(start):
    steps = 0
    while start != 1:
        start = start // 2 if start % 2 == 0 else 3 * start + 1
        steps += 1
    return steps


def gcd(a, b):
    while b:
        a, b = b, a % b
    return a


def main():
    primes = sieve(40_000)
    longest = max(range(1, 1_500), key=collatz)
    common = sum(gcd(a, b) for a in primes[:120] for b in range(1, 60))
    mixed = 0
    for prime in primes:
        mixed = (mixed << 3 ^ prime) & 0xFFFFFF
        if mixed & 1 and prime % 5 != 2:
            mixed -= prime >> 2
    return [len(primes), longest, common, mixed, sum(primes[::7])]
