# A group of a hundred thousand.
# expect: failed|timeout
# error: ExceptionGroup|TimeoutError
def main():
    raise ExceptionGroup("g", [ValueError("x" * 100)] * 100_000)
