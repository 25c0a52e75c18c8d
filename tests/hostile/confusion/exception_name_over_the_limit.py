# An exception that can't be described but by the name of its class, which is too long.
# expect: out-of-memory|failed
# profile: patient
class Base(Exception):
    def __str__(self):
        raise SystemExit


def main():
    raise type("N" * 3_000_000, (Base,), {})
