# Closes what it prints to.
# expect: succeeded
import sys


def main():
    sys.stdout.close()
    sys.stderr.close()
    return 1
