# Hooks that are called when things go wrong.
# expect: failed
# error: ValueError
import sys
import threading


def main():
    def lie(*arguments):
        raise SystemExit("hooked")

    sys.excepthook = sys.unraisablehook = sys.displayhook = sys.breakpointhook = (
        threading.excepthook
    ) = lie
    raise ValueError("true")
