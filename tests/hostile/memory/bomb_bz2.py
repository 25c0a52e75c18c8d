# 300 MiB of nothing in 84 bytes.
# expect: out-of-memory
# profile: patient
import base64
import bz2
import zlib

BOMB = (
    "eNpzisqwNHSMVAuO5ON8dJ8xvs+B4QADA4cCg0GDr5vTAtWVXA3Th4b8otK854w6Qg4sQHlGsIozrJrL"
    "lFiVk1y43Lt3Ks3R8NB6Vd3eAABKEUiG"
)


def main():
    return len(bz2.decompress(zlib.decompress(base64.b64decode(BOMB))))
