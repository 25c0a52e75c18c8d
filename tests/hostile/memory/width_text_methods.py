# Padding in every way that text knows.
# expect: out-of-memory
# result: []
def main():
    taken, size = [], 2**31 - 1
    for name in ("zfill", "ljust", "rjust", "center", "expandtabs"):
        for text in ("\t", b"\t", bytearray(b"\t")):
            try:
                getattr(text, name)(size)
                taken.append(name)
            except (MemoryError, OverflowError):
                pass
    return taken
