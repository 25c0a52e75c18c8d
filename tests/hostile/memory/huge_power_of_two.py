# Powers of two are shifts.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    return (2**10**11).bit_length()
