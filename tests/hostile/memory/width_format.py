# A width in a format.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    return len(format(1, f">{2**31 - 1}"))
