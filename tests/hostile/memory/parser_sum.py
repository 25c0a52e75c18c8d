# A tree that leans to the left: the parser loops, the compiler nests.
# expect: failed
# error: RecursionError
def main():
    return eval("1" + "+1" * 100_000)
