# Functions that are called at every line.
# expect: timeout
import sys


def trace(frame, event, argument):
    while True:
        pass


def other():
    return 1


def main():
    sys.settrace(trace)
    sys.setprofile(trace)
    return other()
