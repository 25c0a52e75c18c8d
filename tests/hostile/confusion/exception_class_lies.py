# An exception that says it is another.
# expect: failed
class Odd(Exception):
    __class__ = MemoryError
    __module__ = property(lambda self: 1 / 0)


def main():
    raise Odd
