# A class of the script's own with the name of another.
# expect: failed
class MemoryError(Exception):
    __module__ = "builtins"


def main():
    raise MemoryError("64MiB")
