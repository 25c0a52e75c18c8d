# Blocks in blocks.
# expect: failed|out-of-memory|timeout
# error: RecursionError|MemoryError|SyntaxError|IndentationError|TimeoutError
# profile: patient
def main():
    exec("".join(" " * n + "if 1:\n" for n in range(1000)) + " " * 1000 + "pass")
