# One power.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    return (10**10**10).bit_length()
