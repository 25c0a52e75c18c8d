# Modules that others rely on become something else.
# expect: failed
# error: ValueError
import sys


def main():
    for name in (
        "traceback",
        "builtins",
        "sys",
        "importlib._bootstrap",
        "linecache",
        "_imp",
        "types",
        "io",
    ):
        sys.modules[name] = 5
    raise ValueError("who says so?")
