# Keys with one hash make a dictionary quadratic.
# expect: timeout
class Key:
    def __hash__(self):
        return 42

    def __eq__(self, other):
        return self is other


def main():
    return len({Key(): None for _ in range(50_000)})
