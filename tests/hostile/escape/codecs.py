# Codecs of the script's own, in the place of those that output uses.
# expect: succeeded
import codecs
import sys


def main():
    def forever(*arguments):
        raise SystemExit("codec")

    codecs.register(lambda name: codecs.CodecInfo(forever, forever, forever, forever))
    codecs.register_error("backslashreplace", lambda error: ("x" * 10**6, 0))
    codecs.register_error("strict", forever)
    print("\ud800")
    sys.stdout.reconfigure(encoding="utf-16")
    print("x")
    return 1
