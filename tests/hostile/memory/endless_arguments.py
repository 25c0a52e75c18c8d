# Arguments that never end.
# expect: out-of-memory
# profile: patient
import itertools


def main():
    print(*itertools.repeat("x"))
