# Names in the module that are no strings.
# expect: succeeded
# result: 1
class Name(str):
    def __eq__(self, other):
        raise SystemExit("eq")

    def __hash__(self):
        return hash("main")


def main():
    return 1


globals()[5] = globals()[None] = globals()[("main",)] = 6
