# More than the address space holds, asked for in every way there is.
# expect: succeeded
# result: []
import array
import collections
import itertools


def main():
    size, taken = 2**31 - 1, []
    for name, make in {
        "str": lambda: "xy" * size,
        "bytes": lambda: b"xy" * size,
        "zeros": lambda: bytes(size),
        "bytearray": lambda: bytearray(size),
        "bytearray *": lambda: bytearray(b"xy") * size,
        "list": lambda: [None] * size,
        "list *=": lambda: [None, None].__imul__(size),
        "tuple": lambda: (None, None) * size,
        "array": lambda: array.array("d", [0]) * size,
        "deque": lambda: collections.deque([0]) * size,
    }.items():
        try:
            make()
            taken.append(name)
        except (MemoryError, OverflowError):
            pass
    return taken
