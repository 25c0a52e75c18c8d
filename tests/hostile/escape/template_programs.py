# Templates for replacements, made by hand.
# expect: failed
# error: RuntimeError
import _sre
import re


def main():
    pattern = re.compile("(x)")
    for template in (
        [0],
        [99, "x"],
        ["a", 10**9, "b"],
        ["", -1, ""],
        [None] * 3,
        ["a", 1],
        [1, 1, 1],
    ):
        try:
            _sre.template(pattern, template)
            pattern.sub(_sre.template(pattern, template), "xx")
        except (ValueError, TypeError, IndexError, AttributeError, OverflowError):
            pass
    re._compile_template = lambda *a: [object()]
    return re.sub("x", r"\1", "x") and None
