# Objects that change their class.
# expect: succeeded
# result: []
import types


class A:
    __slots__ = ("x",)


class B:
    pass


def main():
    changed = []
    for thing in (
        1,
        "x",
        b"",
        [],
        {},
        (),
        None,
        A(),
        print,
        main,
        type,
        types,
        Exception(),
        iter([]),
    ):
        for cls in (
            int,
            str,
            list,
            A,
            type,
            types.ModuleType,
            types.FunctionType,
            dict,
            Exception,
            5,
            None,
        ):
            try:
                thing.__class__ = cls
                if type(thing) is not cls:
                    changed.append(f"{thing!r} {cls!r}")
            except (TypeError, AttributeError):
                pass
    return changed
