# A traceback of a hundred thousand entries.
# expect: failed
# error: ValueError
# profile: patient
def main():
    import sys
    import types

    tb = None
    for _ in range(100_000):
        tb = types.TracebackType(tb, sys._getframe(), 0, 1)
    raise ValueError("long").with_traceback(tb)
