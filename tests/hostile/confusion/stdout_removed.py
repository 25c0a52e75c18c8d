# Removes the streams.
# expect: failed
# error: RuntimeError
import sys


def main():
    del sys.stdout, sys.stderr
    print("nowhere")
    raise ValueError("after all")
