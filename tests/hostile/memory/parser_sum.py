# A tree that leans to the left: the parser loops, the compiler nests.
# expect: failed|succeeded
# error: RecursionError|MemoryError|SyntaxError
def main():
    return eval("1" + "+1" * 100_000)
