# A list of as many items as a 32-bit address can count.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    return len([None] * 600_000_000)
