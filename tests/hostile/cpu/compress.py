# The best compression of what can't be compressed.
# expect: timeout
import random
import zlib


def main():
    data = random.randbytes(2**20)
    while True:
        zlib.compress(data, 9)
