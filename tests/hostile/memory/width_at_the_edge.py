# Just under what a signed 32-bit number holds, with commas.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    return len(f"{12345:0{2**31 - 10},}")
