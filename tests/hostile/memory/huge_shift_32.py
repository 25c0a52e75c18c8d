# One shift, by less than the address space.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    return (1 << 2**31).bit_length()
