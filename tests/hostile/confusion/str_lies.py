# Values that say something else of themselves: the value counts.
# expect: succeeded
# result: ["x", 1, 1.5, [1], {"a": 1}]
class Mixin:
    def __str__(self):
        raise SystemExit("str")

    __repr__ = __format__ = __iter__ = __len__ = items = keys = __getitem__ = __str__


class S(Mixin, str):
    pass


class I(Mixin, int):
    pass


class F(Mixin, float):
    pass


class L(Mixin, list):
    pass


class D(Mixin, dict):
    pass


def main():
    return [S("x"), I(1), F(1.5), L([1]), D(a=1)]
