# Ends the process, as a C library would.
# expect: crashed
import os


def main():
    os.abort()
