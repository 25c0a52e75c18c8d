# No built-in function is left for the one who describes the exception.
# expect: failed
# error: ZeroDivisionError
import builtins


def main():
    builtins.__dict__.clear()
    1 / 0
