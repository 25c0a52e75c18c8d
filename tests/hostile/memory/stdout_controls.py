# Characters that take six times their room in JSON.
# expect: succeeded
# result: 1
import sys


def main():
    sys.stdout.write("\0" * 1_000_000)
    sys.stderr.write("\x1f" * 1_000_000)
    return 1
