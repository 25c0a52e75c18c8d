# A key whose hash changes, and one that does not want to be compared.
# expect: succeeded
class Key(str):
    count = 0

    def __hash__(self):
        Key.count += 1
        return Key.count

    def __eq__(self, other):
        raise SystemExit("eq")


def main():
    return {Key("a"): 1, Key("a"): 2}
