# Memory that was filled and given back, looked for in memory that is newly had.
# expect: succeeded
# result: 0
import array
import io
import struct


def plant():
    canary = "tweet-of-the-canary" * 50_000
    blocks = [bytearray(canary.encode()) for _ in range(6)]
    del blocks[::2]
    return len(blocks)


def look():
    file = io.BytesIO()
    file.seek(500_000)
    file.write(b"\0")
    had = [
        bytes(500_000),
        bytearray(500_000),
        bytearray(1)[:0] * 500_000,
        array.array("Q", [0]) * 60_000,
        memoryview(bytearray(500_000)),
        struct.pack("500000x"),
        file.getvalue(),
        b"\0" * 500_000,
        (0).to_bytes(500_000, "big"),
    ]
    return sum(bytes(block).count(b"tweet-of") + len(bytes(block).strip(b"\0")) for block in had)
