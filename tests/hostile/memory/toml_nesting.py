# Nesting for the reader of TOML.
# expect: failed
# error: RecursionError
import tomllib


def main():
    return tomllib.loads("a = " + "[" * 50_000)
