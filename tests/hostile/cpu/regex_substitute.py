# A replacement that is a function, on a pattern that matches everywhere.
# expect: timeout
import re


def main():
    return len(re.sub(r"(?=(.*))", lambda m: m[1][:1], "a" * 300_000))
