# Groups in groups.
# expect: failed
# error: RecursionError|MemoryError|re.PatternError|OverflowError
import re


def main():
    return re.compile("(?:" * 20_000 + "a" + ")" * 20_000)
