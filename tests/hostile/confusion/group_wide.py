# A group of a hundred thousand.
# expect: failed|timeout|out-of-memory
# error: ExceptionGroup|TimeoutError|MemoryError
def main():
    raise ExceptionGroup("g", [ValueError("x" * 100)] * 100_000)
