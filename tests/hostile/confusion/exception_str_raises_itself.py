# An exception that raises itself when it is printed.
# expect: failed
class Odd(BaseException):
    def __str__(self):
        raise self


def main():
    raise Odd
