# A dictionary that changes each time it is looked at.
# expect: succeeded
# result: {"a": 1}
class Shifty(dict):
    def __iter__(self):
        self.clear()
        return iter(())

    def __missing__(self, key):
        self[key] = key

    def items(self):
        while True:
            yield 1, 2

    keys = values = __len__ = items


def main():
    return Shifty(a=1)
