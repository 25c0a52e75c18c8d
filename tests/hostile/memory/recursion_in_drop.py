# A deep structure that is given up at once.
# expect: succeeded
def main():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    del deep
    return None
