# Returns, and leaves on the way out.
# expect: failed
# error: SystemExit
import sys


def main():
    try:
        return 1
    finally:
        sys.exit("after all")
