# A ladder.
# expect: failed|succeeded
# error: RecursionError|MemoryError|SyntaxError
def main():
    exec("if 0: pass\n" + "elif 0: pass\n" * 10_000)
