# A loop in native code over a native iterator: no bytecode in between.
# expect: timeout
import itertools


def main():
    return any(itertools.repeat(0))
