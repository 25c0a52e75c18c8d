# A list of lists of the same list.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    rows = [0]
    while True:
        rows = [rows] * 1000 + rows * 1000
