# Growth by half of the address space at once.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    return len((None, None, None) * 300_000_000)
