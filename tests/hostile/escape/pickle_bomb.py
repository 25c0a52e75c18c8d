# A few bytes that say how long they are.
# expect: succeeded|out-of-memory
import pickle


def main():
    for data in (
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x96\x00\x00\x00\x70\x00\x00\x00\x00.",
        b"B\xff\xff\xff\x7f.",
        b"X\xff\xff\xff\x7f.",
        b"\x8b\xff\xff\xff\x7f.",
        b"r\xff\xff\xff\x7f.",
        b"N" + b"r\xff\xff\xff\x7e" + b".",
        b"\x95\xff\xff\xff\x7f\x00\x00\x00\x00N.",
    ):
        try:
            pickle.loads(data)
        except (
            MemoryError,
            OverflowError,
            ValueError,
            EOFError,
            pickle.UnpicklingError,
            IndexError,
        ):
            pass
