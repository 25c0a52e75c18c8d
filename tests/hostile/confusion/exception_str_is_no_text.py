# An exception whose text is a number.
# expect: failed
# error: script.Odd
class Odd(Exception):
    def __str__(self):
        return 5


def main():
    raise Odd
