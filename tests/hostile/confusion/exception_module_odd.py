# A class of exceptions whose module is no text.
# expect: failed
class Odd(Exception):
    pass


def main():
    Odd.__module__ = ["not", "text"]
    raise Odd("x")
