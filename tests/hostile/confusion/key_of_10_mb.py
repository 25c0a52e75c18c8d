# One key of ten million letters.
# expect: failed
# error: ValueError
# says: bytes of JSON
def main():
    return {"k" * 10_000_000: 1}
