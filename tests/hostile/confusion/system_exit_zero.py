# Leaves as if all were well: a task that returned nothing has not succeeded.
# expect: failed
# error: SystemExit
import sys


def main():
    sys.exit(0)
