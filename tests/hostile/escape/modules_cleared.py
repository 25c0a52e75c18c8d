# No module is left to be found.
# expect: succeeded
# result: 1
import sys


def main():
    sys.modules.clear()
    return 1
