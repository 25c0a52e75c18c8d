# Two layers of deflate over 300 MiB of nothing.
# expect: out-of-memory
# profile: patient
import base64
import zlib


def main():
    packer = zlib.compressobj(9)
    once = b"".join(packer.compress(bytes(2**20)) for _ in range(100)) + packer.flush()
    twice = base64.b64encode(zlib.compress(once))
    return len(zlib.decompress(zlib.decompress(base64.b64decode(twice))))
