# A key that has the hash of `main`, and raises when it is compared with it.
# expect: failed
# error: ZeroDivisionError
class Name(str):
    def __eq__(self, other):
        raise ZeroDivisionError("eq")

    def __hash__(self):
        return hash("main")


globals()[Name("other")] = 1


def main():
    return 1


globals()["main"] = globals().pop("main", main)
