# An exception that can't be printed.
# expect: failed
# error: script.Odd
class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no")


def main():
    raise Odd
