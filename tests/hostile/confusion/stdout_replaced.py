# Puts other things in the place of the streams.
# expect: succeeded
# result: 1
import sys


class Stream:
    def write(self, text):
        raise SystemExit("write")

    flush = write


def main():
    sys.stdout, sys.stderr = Stream(), 5
    return 1
