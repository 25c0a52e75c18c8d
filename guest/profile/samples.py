"""Numbers at random, statistics, and ways to sort."""

import bisect
import random
import statistics
from fractions import Fraction


def quicksort(items):
    if len(items) < 2:
        return items
    pivot, *rest = items
    return quicksort([i for i in rest if i < pivot]) + [pivot] + quicksort([i for i in rest if i >= pivot])


def insertion(items):
    for index in range(1, len(items)):
        item, place = items[index], index
        while place and items[place - 1] > item:
            items[place] = items[place - 1]
            place -= 1
        items[place] = item
    return items


def merged(left, right):
    out, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            out.append(left[i])
            i += 1
        else:
            out.append(right[j])
            j += 1
    return out + left[i:] + right[j:]


def mergesort(items):
    if len(items) < 2:
        return items
    middle = len(items) // 2
    return merged(mergesort(items[:middle]), mergesort(items[middle:]))


def main():
    generator = random.Random(7)
    values = [generator.gauss(100, 15) for _ in range(2_500)]
    counts = [generator.randint(1, 1_000) for _ in range(2_500)]
    inside = 0
    for _ in range(9_000):
        x, y = generator.random(), generator.random()
        if x * x + y * y <= 1.0:
            inside += 1
    generator.shuffle(counts)
    assert quicksort(counts) == sorted(counts) == mergesort(counts)
    assert insertion(counts[:160]) == sorted(counts[:160])
    ranks = sorted(values)
    middle = [bisect.bisect(ranks, value) for value in range(60, 140)]
    words = sorted((f"w{count % 211}" for count in counts), reverse=True)
    people = sorted(({"age": c % 90, "name": w} for c, w in zip(counts, words)),
                    key=lambda p: (p["age"], p["name"]))
    spread = statistics.pstdev(values[:400])
    third = sum((Fraction(1, n) for n in range(1, 60)), Fraction(0))
    return [inside > 0, round(spread, 3), middle[40], people[0]["name"], third.numerator % 1009]
