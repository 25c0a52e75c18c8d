# The tables behind frozen and built-in modules, with what they do not expect.
# expect: succeeded
# result: null
import _imp
import types


def main():
    odd = (
        None,
        0,
        "",
        "nowhere",
        "\0",
        "\ud800",
        b"os",
        "os",
        "__hello__",
        [],
        types.ModuleType("os"),
    )
    for name in dir(_imp):
        function = getattr(_imp, name)
        if not callable(function):
            continue
        for arguments in [(), *[(a,) for a in odd], *[(a, b) for a in odd for b in odd]]:
            try:
                function(*arguments)
            except Exception:
                pass
