# A built-in function that never returns, used by the one who describes the exception.
# expect: timeout
import builtins


def main():
    def forever(*arguments):
        while True:
            pass

    builtins.isinstance = builtins.reversed = builtins.id = forever
    raise KeyError
