# A UnicodeError with places that are none.
# expect: failed
# error: UnicodeDecodeError
def main():
    error = UnicodeDecodeError("utf-8", b"x", 0, 1, "reason")
    error.start, error.end = 10**9, -(10**9)
    str(error)
    error.object = 5
    raise error
