# A native thread, to dump tracebacks with.
# expect: crashed
import faulthandler


def main():
    faulthandler.dump_traceback_later(1, repeat=True)
