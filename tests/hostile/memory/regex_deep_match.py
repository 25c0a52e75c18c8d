# A match that nests once for each character.
# expect: out-of-memory|failed
# error: MemoryError
import re


def main():
    return re.match(r"(?:(a)|b)*", "ab" * 500_000).end()
