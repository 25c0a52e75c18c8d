# Something else in the place of the modules.
# expect: failed
# error: RecursionError
import sys


def main():
    for other in (None, [], {"sys": 1}, 5):
        sys.modules = other
        try:
            import string
        except Exception:
            pass
    del sys.modules
    import textwrap
