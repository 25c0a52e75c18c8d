# Time spent in host calls: output, byte by byte.
# expect: timeout
import sys


def main():
    write, flush = sys.stdout.buffer.write, sys.stdout.buffer.flush
    while True:
        write(b"x")
        flush()
