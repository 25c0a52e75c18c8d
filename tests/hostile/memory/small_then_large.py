# Memory full of small objects, then a large one, and small ones of another size.
# expect: succeeded


def main():
    for _ in range(3):
        kept = [str(number) for number in range(180_000)]
        kept = None
        kept = bytearray(10 << 20)
        kept = None
        # Holes, each as large as a string, and then what fits into none of them.
        kept = [str(number) for number in range(180_000)]
        del kept[::2]
        longer = ["x" * 50 for _ in range(40_000)]
        kept = longer = None
    return kept
