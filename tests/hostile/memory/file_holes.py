# Files in memory with a hole in front.
# expect: out-of-memory|failed
# error: MemoryError
import io


def main():
    for file, byte in ((io.BytesIO(), b"x"), (io.StringIO(), "x")):
        for size in (2**28, 2**31 - 2, 2**40, 2**62):
            try:
                file.seek(size)
                file.write(byte)
            except (MemoryError, OverflowError, ValueError):
                pass
