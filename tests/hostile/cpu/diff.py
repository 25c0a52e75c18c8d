# Quadratic and worse, in the standard library.
# expect: timeout
import difflib


def main():
    a, b = ["ab"] * 3000, ["ab", "ba"] * 1500
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()
