# Tuples in tuples.
# expect: failed
# error: RecursionError
import marshal


def main():
    return marshal.loads(b"(\x01\x00\x00\x00" * 300_000 + b"N")
