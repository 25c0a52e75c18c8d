# Built-in functions that lie, and an exception to be described with them.
# expect: failed
# error: KeyError
import builtins


def main():
    for name in (
        "isinstance",
        "type",
        "str",
        "repr",
        "len",
        "max",
        "min",
        "id",
        "getattr",
        "reversed",
        "zip",
    ):
        setattr(builtins, name, lambda *a, **k: "lie")
    for name in ("Exception", "BaseException", "BaseExceptionGroup", "MemoryError"):
        setattr(builtins, name, int)
    raise KeyError("true")
