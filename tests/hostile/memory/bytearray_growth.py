# One buffer, extended in place.
# expect: out-of-memory
def main():
    data = bytearray()
    while True:
        data += bytes(1_000_000)
