# A small number in many bytes.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    return len((1).to_bytes(2**31 - 1, "big"))
