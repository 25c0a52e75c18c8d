# A precision, the old way.
# expect: out-of-memory|failed
# error: MemoryError|OverflowError|ValueError
def main():
    return len("%.*f" % (2**31 - 1, 1.5))
