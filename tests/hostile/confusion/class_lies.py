# An object that says that it is a dictionary.
# expect: failed
# error: TypeError
class Liar:
    __class__ = dict

    def items(self):
        return [("a", 1)]


def main():
    return Liar()
