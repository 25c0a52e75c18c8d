# Repetition in C, once: in Rust here.
# expect: out-of-memory|failed
# error: MemoryError
import collections


def main():
    return len(collections.deque([None, None]) * 600_000_000)
