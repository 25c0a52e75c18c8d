# Bytes that become three each when they are made text.
# expect: succeeded
# result: 1
import sys


def main():
    sys.stdout.buffer.write(b"\xff" * 1_000_000)
    sys.stdout.flush()
    return 1
