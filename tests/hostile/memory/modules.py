# Modules without an end.
# expect: out-of-memory
# profile: patient
import sys
import types


def main():
    n = 0
    while True:
        n += 1
        sys.modules[f"m{n}"] = types.ModuleType(f"m{n}", "x" * 1000)
