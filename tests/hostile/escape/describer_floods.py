# The same, to say more than can be read.
# expect: out-of-memory|failed
# profile: patient
import sys


class Spy(Exception):
    def __str__(self):
        frame = sys._getframe(1)
        while frame and "_kind" not in frame.f_globals:
            frame = frame.f_back
        if frame:
            frame.f_globals["_kind"] = lambda e: "K" * 5_000_000
        return "M" * 5_000_000


def main():
    raise Spy
