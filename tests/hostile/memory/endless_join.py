# A text of endless parts.
# expect: out-of-memory
# profile: patient
import itertools


def main():
    return "".join(itertools.repeat("roh" * 1000))
