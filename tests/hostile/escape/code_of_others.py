# The code of the standard library, replaced in place.
# expect: failed|crashed
import traceback


def lie(*arguments, **options):
    return 5


def main():
    for function in (traceback.TracebackException.format, traceback.TracebackException.__init__):
        function.__code__ = lie.__code__
    raise ValueError("true")
