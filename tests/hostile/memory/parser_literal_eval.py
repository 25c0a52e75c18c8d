# What is said to be safe.
# expect: failed
# error: RecursionError|MemoryError|SyntaxError|ValueError
import ast


def main():
    return ast.literal_eval("[" * 100_000 + "]" * 100_000)
