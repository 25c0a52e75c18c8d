# A native thread, to dump tracebacks with.
# expect: failed|succeeded
import faulthandler


def main():
    faulthandler.dump_traceback_later(1, repeat=True)
