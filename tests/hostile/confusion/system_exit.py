# Leaves with an object.
# expect: failed
# error: SystemExit
class Code:
    def __str__(self):
        return "\ud800" * 100_000

    __repr__ = __index__ = __str__


def main():
    raise SystemExit(Code())
