# Items that each claim to be less than the other.
# expect: timeout
class Liar:
    def __lt__(self, other):
        return True


def main():
    items = [Liar() for _ in range(20_000)]
    while True:
        items.sort()
