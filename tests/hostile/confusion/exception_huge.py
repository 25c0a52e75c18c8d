# More to say than anyone reads.
# expect: failed
# error: ValueError
def main():
    raise ValueError("x" * 2_000_000)
