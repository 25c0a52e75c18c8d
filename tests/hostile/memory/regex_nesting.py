# Groups in groups.
# expect: failed
# error: RecursionError
import re


def main():
    return re.compile("(?:" * 20_000 + "a" + ")" * 20_000)
