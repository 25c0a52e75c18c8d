# An exception that leaves when it is printed.
# expect: failed
# error: Odd
class Odd(Exception):
    def __str__(self):
        raise SystemExit("gone")


def main():
    raise Odd
