# Exceptions that were made without their own `__init__`.
# expect: failed
def main():
    for cls in (
        SyntaxError,
        OSError,
        UnicodeDecodeError,
        UnicodeEncodeError,
        ImportError,
        StopIteration,
        KeyError,
    ):
        error = cls.__new__(cls)
        for show in (
            str,
            repr,
            lambda e: e.args,
            lambda e: getattr(e, "start", 0),
            lambda e: getattr(e, "lineno", 0),
        ):
            try:
                show(error)
            except (TypeError, AttributeError):
                pass
    raise UnicodeDecodeError.__new__(UnicodeDecodeError)
