# A ladder that the parser climbs and the compiler falls from.
# expect: failed|succeeded
# error: RecursionError|MemoryError|SyntaxError
def main():
    exec("if 0: pass\n" + "elif 0: pass\n" * 3_000)
