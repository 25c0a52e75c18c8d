# Tracebacks with lines and positions that are none.
# expect: failed
# error: ValueError
import sys
import types


def main():
    error, tb = ValueError("odd"), None
    for place in ((-1, -1), (2**31 - 1, 2**31 - 1), (0, 0), (10**5, -5)):
        try:
            tb = types.TracebackType(tb, sys._getframe(), *place)
        except (ValueError, OverflowError, TypeError):
            pass
    raise error.with_traceback(tb)
