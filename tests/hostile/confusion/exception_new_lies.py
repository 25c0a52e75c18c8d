# A class that makes no exceptions.
# expect: failed
# error: TypeError
class Odd(Exception):
    def __new__(cls):
        return 5


def main():
    raise Odd
