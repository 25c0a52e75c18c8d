# Room is made for what an iterator promises.
# expect: succeeded
class Liar:
    def __init__(self, hint):
        self.hint = hint

    def __length_hint__(self):
        return self.hint

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration


def main():
    for hint in (2**20, 2**28, 2**30, 2**31 - 1, 2**32, 2**62):
        for kind in (list, tuple, bytearray, bytes, set, dict.fromkeys, "".join):
            try:
                kind(Liar(hint))
            except (MemoryError, OverflowError):
                pass
