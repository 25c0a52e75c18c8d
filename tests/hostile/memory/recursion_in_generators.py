# A chain of generators, each of which waits for the next.
# expect: failed
# error: RecursionError
def deeper(n):
    yield n
    yield from deeper(n + 1)


def main():
    return sum(deeper(0))
