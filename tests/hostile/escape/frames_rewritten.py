# Writes into the frames it was called from.
# expect: succeeded
# result: 1
import sys


def main():
    frame = sys._getframe()
    while frame:
        for write in (
            lambda: frame.f_locals.update(x=1),
            lambda: setattr(frame, "f_lineno", 1),
            lambda: setattr(frame, "f_trace", print),
            lambda: frame.clear(),
            lambda: frame.f_locals.clear(),
        ):
            try:
                write()
            except (RuntimeError, ValueError, AttributeError, TypeError):
                pass
        frame = frame.f_back
    return 1
