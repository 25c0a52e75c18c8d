# The same, down to the last byte, and then work that needs memory.
# expect: out-of-memory|failed
# error: MemoryError
# profile: patient
def main():
    hoard, size = [], 2**22
    while size:
        try:
            hoard.append(bytes(size))
        except MemoryError:
            size //= 2
    return {str(n): [n] * n for n in range(1000)}
