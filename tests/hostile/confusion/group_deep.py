# A group in a group, very deep.
# expect: failed|timeout|out-of-memory
# error: ExceptionGroup|RecursionError|TimeoutError|MemoryError
def main():
    group = ValueError(1)
    for _ in range(20_000):
        group = ExceptionGroup("g", [group])
    raise group
