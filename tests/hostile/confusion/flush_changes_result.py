# A stream that changes the result while it is flushed.
# expect: failed
# error: ValueError
import sys

result = {"a": [1]}


class Stream:
    def flush(self):
        result["a"] = result


def main():
    sys.stdout = Stream()
    return result
