# A match that nests once for each character.
# expect: succeeded|failed|out-of-memory
# error: RecursionError|MemoryError
import re


def main():
    return re.match(r"(?:(a)|b)*", "ab" * 500_000).end()
