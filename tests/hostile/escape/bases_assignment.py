# Classes that become their own ancestors, and others' layouts.
# expect: succeeded
# result: null
class A:
    pass


class B(A):
    pass


class C(int):
    pass


def main():
    for cls in (A, B, C):
        for bases in (
            (cls,),
            (B,),
            (C,),
            (int,),
            (type,),
            (object,),
            (),
            (1,),
            None,
            (dict, int),
            (A, object),
        ):
            try:
                cls.__bases__ = bases
            except (TypeError, AttributeError, ValueError):
                pass
            try:
                cls(), cls.__mro__, str(cls()), hash(cls())
            except (TypeError, AttributeError, RecursionError):
                pass
