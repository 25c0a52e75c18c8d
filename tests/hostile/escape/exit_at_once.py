# Ends the process without a word to anyone.
# expect: failed
# error: SystemExit
import os


def main():
    os._exit(0)
