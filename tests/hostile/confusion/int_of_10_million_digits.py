# A number that is larger as text than the result may be.
# expect: failed
# error: ValueError
# says: bytes of JSON
def main():
    return 1 << 33_000_000
