# Numbers that double their length until multiplying takes for ever.
# expect: timeout
def main():
    n = 3**100_000
    while True:
        n = n * n % (1 << 500_000)
