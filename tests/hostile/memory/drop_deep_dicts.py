# The same of dictionaries.
# expect: succeeded|failed|out-of-memory
# error: RecursionError|MemoryError
def main():
    deep = {}
    for _ in range(100_000):
        deep = {"a": deep}
    deep = None
