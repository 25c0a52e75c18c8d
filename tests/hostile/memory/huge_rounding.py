# Digits before the point.
# expect: succeeded|out-of-memory|failed|timeout
# error: MemoryError|OverflowError|TimeoutError
def main():
    return round(1, -(10**9))
