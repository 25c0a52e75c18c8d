# A SyntaxError with places that are none.
# expect: failed
# error: SyntaxError
def main():
    error = SyntaxError("made up", ("file", -5, 2**31, "text\ud800" * 1000, -1, -1))
    error.text, error.offset, error.lineno, error.end_offset = "x", 10**9, "five", None
    raise error
