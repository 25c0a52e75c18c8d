# A stream that raises when it is flushed at the end.
# expect: succeeded
# result: 1
import sys


class Stream:
    def flush(self):
        raise KeyboardInterrupt


def main():
    sys.stdout = sys.stderr = Stream()
    return 1
