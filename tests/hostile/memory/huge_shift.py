# One shift.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    return (1 << 10**12).bit_length()
