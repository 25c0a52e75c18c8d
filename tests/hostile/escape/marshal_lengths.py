# Lengths of things that are not there.
# expect: succeeded
import marshal


def main():
    for kind in b"stuaAlzZ([{<>":
        for length in (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x40"):
            for flag in (0, 0x80):
                try:
                    marshal.loads(bytes([kind | flag]) + length)
                except (ValueError, EOFError, TypeError, MemoryError, OverflowError):
                    pass
