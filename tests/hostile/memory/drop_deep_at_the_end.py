# A deep structure that is left to the end, and a result.
# expect: succeeded
deep = []


def main():
    global deep
    for _ in range(100_000):
        deep = [deep]
    return 1
