# Operators without an end, each of which nests.
# expect: failed
# error: RecursionError
def main():
    return eval("-" * 200_000 + "1")
