# A KeyError shows its key by `repr`.
# expect: failed
# error: KeyError
class Key:
    def __repr__(self):
        raise KeyError(self)


def main():
    raise KeyError(Key())
