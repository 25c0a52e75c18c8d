# Who swallows a MemoryError goes on with what there is, until its time is up.
# expect: timeout|out-of-memory
def main():
    hoard = []
    while True:
        try:
            hoard.append(bytearray(1_000_000))
        except MemoryError:
            continue
