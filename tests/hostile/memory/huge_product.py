# Two numbers that fit, and their product that does not.
# expect: out-of-memory
def main():
    n = 1 << 170_000_000
    return (n * n).bit_length()
