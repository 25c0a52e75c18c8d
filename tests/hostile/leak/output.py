# What was printed and not flushed is not the next one's.
# expect: succeeded
# result: null
import sys


def plant():
    sys.stdout.write("canary without a line")
    sys.stderr.write("canary")
    sys.stdout.reconfigure(line_buffering=False)
    print("canary in the buffer", end="")
    sys.stdout = sys.stderr = sys.__stderr__ = open


def look():
    print(end="")
