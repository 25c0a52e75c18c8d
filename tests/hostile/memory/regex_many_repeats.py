# A pattern whose repeats multiply.
# expect: timeout
import re


def main():
    pattern = "a"
    for _ in range(6):
        pattern = f"(?:{pattern}){{0,60000}}?"
    return re.match(pattern + "b", "a" * 50_000) is None
