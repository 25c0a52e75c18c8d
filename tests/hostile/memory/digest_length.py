# Digests and keys as long as asked for.
# expect: out-of-memory|failed
# error: MemoryError|OverflowError
import hashlib


def main():
    size = 2**31 - 1
    for make in (
        lambda: hashlib.shake_256(b"x").digest(size),
        lambda: hashlib.pbkdf2_hmac("sha256", b"", b"", 1, size),
        lambda: hashlib.scrypt(b"", salt=b"", n=2**20, r=2**10, p=1, maxmem=size),
    ):
        try:
            make()
        except (MemoryError, OverflowError, ValueError, AttributeError):
            pass
