# Ends the process without a word to anyone.
# expect: failed
# error: SystemExit|AttributeError
import os


def main():
    os._exit(0)
