# Random bytes for the reader of compiled code.
# expect: succeeded
# result: null
# profile: patient
import marshal
import random


def main():
    random.seed(2)
    for n in range(2000):
        kind = bytes(random.choices(b"NFTS.iIfgyYlstuRrc<>([{?aAzZ):", k=30))
        junk = random.randbytes(20)
        data = bytes(a for pair in zip(kind, b"\1\0\0\0" * 8) for a in pair) + junk
        for piece in (data, junk, kind, b"c" + junk * 10):
            try:
                marshal.loads(piece)
            except (ValueError, EOFError, TypeError, MemoryError, OverflowError):
                pass
