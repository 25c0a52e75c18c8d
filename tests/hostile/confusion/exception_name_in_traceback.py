# The same of one whose description fails for want of a traceback module.
# expect: failed
import traceback


def main():
    traceback.TracebackException = None
    raise type("é" * 700_000, (Exception,), {})("m" * 700_000)
