# A closure without its cells.
# expect: failed|crashed
import types


def outer():
    secret = 1

    def inner():
        return secret

    return inner


def main():
    inner = outer()
    for attempt in (
        lambda: types.FunctionType(inner.__code__, {})(),
        lambda: types.FunctionType(inner.__code__, {}, closure=())(),
        lambda: types.FunctionType(inner.__code__, {}, closure=(types.CellType(),) * 9)(),
        lambda: types.FunctionType(inner.__code__, {}, closure=(1,))(),
        lambda: exec(inner.__code__),
        lambda: exec(inner.__code__, {}, closure=None),
        lambda: setattr(main, "__code__", inner.__code__),
    ):
        try:
            attempt()
        except (ValueError, TypeError, NameError):
            pass
    exec(inner.__code__)
