# Interned strings are kept for good.
# expect: out-of-memory
# profile: patient
import sys


def main():
    n = 0
    while True:
        n += 1
        sys.intern(f"name{n}" * 50)
