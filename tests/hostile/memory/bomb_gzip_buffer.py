# A buffer as large as the caller says, before a byte is unpacked.
# expect: out-of-memory|failed
# error: MemoryError
import zlib


def main():
    return len(zlib.decompress(zlib.compress(b"x"), bufsize=2**31 - 1))
