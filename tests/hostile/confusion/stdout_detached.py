# Takes the stream apart.
# expect: succeeded
# result: 1
import sys


def main():
    raw = sys.stdout.detach()
    raw.write(b"raw")
    sys.stderr.buffer.detach()
    return 1
