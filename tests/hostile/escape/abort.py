# Ends the process, as a C library would.
# expect: failed
# error: AttributeError|SystemExit
import os


def main():
    os.abort()
