# No nested quantifier, and still slow.
# expect: timeout
import re


def main():
    return re.findall(r".*?,.*?;x", "," * 20_000)
