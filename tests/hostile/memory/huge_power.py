# One power.
# expect: out-of-memory|failed|timeout
# error: MemoryError|OverflowError|TimeoutError
def main():
    return (10 ** 10**10).bit_length()
