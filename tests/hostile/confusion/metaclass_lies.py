# A class whose name is no name.
# expect: failed
# error: TypeError
class Meta(type):
    __name__ = property(lambda cls: 1 / 0)
    __qualname__ = __module__ = __name__

    def __getattribute__(cls, name):
        raise SystemExit(name)

    __instancecheck__ = __subclasscheck__ = __getattribute__


def main():
    return Meta("C", (), {})()
