# Formats that pad to more than there is.
# expect: succeeded
# result: []
import struct


def main():
    taken = []
    for form in (
        "2000000000x",
        "99999999999999999999x",
        "1000000000d",
        "2147483647s",
        "2147483647p",
    ):
        try:
            struct.pack(form, *[b"" if form[-1] in "sp" else 0.0][form[-1] == "x" :])
            taken.append(form)
        except (MemoryError, OverflowError, struct.error):
            pass
    return taken
