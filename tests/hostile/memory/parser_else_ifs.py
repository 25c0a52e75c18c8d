# A ladder.
# expect: out-of-memory|failed
# error: RecursionError|MemoryError
def main():
    exec("if 0: pass\n" + "elif 0: pass\n" * 10_000)
