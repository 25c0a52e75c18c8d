# A length that is known beforehand, and a lie.
# expect: out-of-memory|failed
# error: MemoryError
class Liar:
    def __len__(self):
        return 2**31 - 1

    def __length_hint__(self):
        return 2**31 - 1

    def __iter__(self):
        return iter(range(2**60))


def main():
    return len(list(Liar()))
