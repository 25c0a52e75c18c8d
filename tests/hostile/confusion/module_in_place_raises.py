# An object that raises when it is asked.
# expect: failed
# error: ZeroDivisionError
import sys


class Module:
    def __getattribute__(self, name):
        return 1 / 0


sys.modules[__name__] = Module()
