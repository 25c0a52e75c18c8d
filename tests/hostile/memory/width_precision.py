# A precision.
# expect: out-of-memory|failed
# error: MemoryError|OverflowError|ValueError
def main():
    return len(f"{1.5:.{2**31 - 1}f}")
