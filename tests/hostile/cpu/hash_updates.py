# A digest of far too much.
# expect: timeout
import hashlib


def main():
    block, digests = bytes(2**20), [hashlib.new(n) for n in ("md5", "sha3_512", "blake2b")]
    while True:
        for digest in digests:
            digest.update(block)
