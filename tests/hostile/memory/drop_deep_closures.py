# The same of functions in cells.
# expect: succeeded|failed|out-of-memory
# error: RecursionError|MemoryError
def wrap(inner):
    return lambda: inner


def main():
    function = None
    for _ in range(100_000):
        function = wrap(function)
    function = None
