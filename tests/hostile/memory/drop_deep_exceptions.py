# The same of exceptions, each the context of the next.
# expect: succeeded|failed|out-of-memory
# error: RecursionError|MemoryError
def main():
    error = None
    for n in range(50_000):
        outer = ValueError(n)
        outer.__context__ = error
        error = outer
    error = outer = None
