# Deeper than JSON is read.
# expect: failed
# error: RecursionError
def main():
    value = []
    for _ in range(100_000):
        value = [value]
    return value
