# Time is spent in what `sorted` calls.
# expect: timeout
def main():
    return sorted(range(100_000), key=lambda n: sum(range(n)))[0]
