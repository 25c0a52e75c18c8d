# The globals of the one who describes exceptions, through a frame of the exception's own.
# expect: failed
import sys

stolen = {}


class Spy(Exception):
    def __str__(self):
        frame = sys._getframe()
        while frame:
            stolen.update({id(frame): frame})
            if "_kind" in frame.f_globals:
                frame.f_globals["_kind"] = lambda e: 5
                frame.f_globals["_message"] = lambda e: [b"x"] * 10**5
                frame.f_globals["_trim"] = None
            frame = frame.f_back
        return "spy"


def main():
    raise Spy
