# A traceback that leads to itself.
# expect: failed
# error: ValueError
import types


def main():
    try:
        raise ValueError("round")
    except ValueError as error:
        first = error.__traceback__
        last = types.TracebackType(first, first.tb_frame, 0, 1)
        try:
            first.tb_next = last
        except ValueError:
            pass
        raise error.with_traceback(last)
