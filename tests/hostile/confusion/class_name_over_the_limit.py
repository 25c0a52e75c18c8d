# A value whose class has a name that is longer than a reply may be.
# expect: failed|out-of-memory
# error: TypeError|MemoryError
# profile: patient
def main():
    return type("N" * 3_000_000, (), {})()
