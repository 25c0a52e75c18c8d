# As above, with calls of a built-in function in between.
# expect: failed
# error: RecursionError
def main():
    items = [1]
    for _ in range(30_000):
        items = map(abs, items)
    return list(items)
