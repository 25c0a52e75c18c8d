# More random bytes than the memory holds.
# expect: out-of-memory|succeeded
# result: []
import os
import random
import secrets


def main():
    taken = []
    for make in (
        os.urandom,
        random.randbytes,
        secrets.token_bytes,
        random.SystemRandom().randbytes,
    ):
        for size in (2**27, 2**31 - 1, 2**40):
            try:
                make(size)
                taken.append(size)
            except (MemoryError, OverflowError, ValueError):
                pass
    return taken
