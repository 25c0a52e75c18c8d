# The arguments of an exception, replaced by what is no tuple.
# expect: failed
# error: ValueError
class Sequence:
    def __iter__(self):
        raise KeyboardInterrupt


def main():
    error = ValueError("x")
    for args in (5, Sequence(), ([],) * 10_000):
        try:
            error.args = args
        except (TypeError, KeyboardInterrupt):
            pass
    raise error
