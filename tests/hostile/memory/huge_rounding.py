# Digits before the point.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    return round(1, -(10**9))
