"""Bytes: packed, hashed, compressed and encoded; integers of many digits."""

import base64
import binascii
import hashlib
import hmac
import struct
import zlib


def checksum(data):
    low, high = 1, 0
    for byte in data:
        low = (low + byte) % 65_521
        high = (high + low) % 65_521
    return high << 16 | low


def encode(values):
    out = bytearray()
    for value in values:
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        out.append(value)
    return bytes(out)


def decode(data):
    values, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            values.append(value)
            value = shift = 0
    return values


def main():
    values = [i * i * 7919 % 1_000_003 for i in range(4_000)]
    packed = encode(values)
    assert decode(packed) == values
    records = b"".join(struct.pack("<IHd", i, i % 65_536, i / 3) for i in range(1_200))
    total = sum(number for _, number, _ in struct.iter_unpack("<IHd", records))
    assert checksum(packed) == zlib.adler32(packed)
    digest = hashlib.sha256(records).digest()
    for turn in range(250):
        digest = hmac.new(digest, b"turn %d" % turn, hashlib.sha256).digest()
    text = base64.b64encode(zlib.compress(records)).decode()
    assert zlib.decompress(base64.b64decode(text)) == records
    prime = (1 << 127) - 1
    power = pow(3, prime - 2, prime)
    a, b = 0, 1
    for _ in range(2_500):
        a, b = b, a + b
    digits = len(str(a))
    root, guess = 2 * 10**400, 10**201
    while guess * guess > root:
        guess = (guess + root // guess) // 2
    return [total, binascii.hexlify(digest[:4]).decode(), power % 997, digits, guess % 10**6]
