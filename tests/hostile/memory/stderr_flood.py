# The same on the other stream.
# expect: timeout
import sys


def main():
    while True:
        sys.stderr.write("spam " * 1000)
