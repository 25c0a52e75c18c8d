# A group of a hundred thousand.
# expect: timeout|out-of-memory|failed
# error: ExceptionGroup
def main():
    raise ExceptionGroup("g", [ValueError("x" * 100)] * 100_000)
