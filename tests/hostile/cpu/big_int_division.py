# Division is dearer than multiplication.
# expect: timeout
def main():
    n, d = (1 << 3_000_000) - 1, (1 << 1_500_000) - 3
    while True:
        n ^= divmod(n, d)[1]
