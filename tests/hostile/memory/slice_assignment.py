# Slices that make room.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    data = bytearray(2**20)
    while True:
        data[1:1] = data
        data[::2] = data[::2]
