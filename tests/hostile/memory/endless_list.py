# Native code that collects from an iterator without an end.
# expect: out-of-memory
# profile: patient
import itertools


def main():
    return [*itertools.count()]
