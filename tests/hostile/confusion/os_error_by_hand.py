# An OSError that was made from what is no error number.
# expect: failed
def main():
    raise OSError(-(2**31), "x" * 10, object(), 5, b"\xff")
