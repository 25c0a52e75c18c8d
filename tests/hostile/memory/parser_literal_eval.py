# What is said to be safe.
# expect: failed
# error: SyntaxError
import ast


def main():
    return ast.literal_eval("[" * 100_000 + "]" * 100_000)
