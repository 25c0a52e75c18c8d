# A traceback module that lies, raises or never ends.
# expect: failed
# error: ValueError
import traceback


class Liar:
    def __init__(self, *a, **k):
        raise SystemExit("not me")

    from_exception = __init__


def main():
    traceback.TracebackException = Liar
    traceback.StackSummary = traceback.clear_frames = Liar
    raise ValueError("true")
