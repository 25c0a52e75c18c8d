# A value whose class has a name that is longer than a reply may be.
# expect: out-of-memory|failed
# error: MemoryError|TypeError
# profile: patient
def main():
    return type("N" * 3_000_000, (), {})()
