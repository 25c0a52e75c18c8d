# Exponential in the length of the text.
# expect: timeout
import re


def main():
    return re.match(r"(a+)+$", "a" * 60 + "b")
