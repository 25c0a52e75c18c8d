# A deep structure that is left to the end, and a result.
# expect: succeeded|failed
# error: RecursionError
deep = []


def main():
    global deep
    for _ in range(100_000):
        deep = [deep]
    return 1
