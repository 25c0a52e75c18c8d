# Typed arrays count in items, and memory in bytes.
# expect: out-of-memory|failed
# error: MemoryError
import array


def main():
    return len(array.array("d", [0.0]) * 400_000_000)
