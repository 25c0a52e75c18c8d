# An exception that prints when it is printed.
# expect: failed
# error: script.Odd
class Odd(Exception):
    def __str__(self):
        print("x" * 1_000_000)
        return "odd"


def main():
    raise Odd
