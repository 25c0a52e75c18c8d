# No module is left for the one who describes the exception.
# expect: failed
# error: KeyError
import sys


def main():
    sys.modules.clear()
    sys.meta_path.clear()
    raise KeyError("all gone")
