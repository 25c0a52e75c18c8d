# Powers of two are shifts.
# expect: out-of-memory|failed|timeout
# error: MemoryError|OverflowError|TimeoutError
def main():
    return (2 ** 10**11).bit_length()
