# Source that is no text, for the compiler.
# expect: failed
# error: UnicodeEncodeError
def main():
    for source in ("'\ud800'", b"\xff", b"# coding: nope\n1", "\0", b"\xef\xbb\xbf1", "1\0"):
        try:
            exec(source)
        except (SyntaxError, ValueError, LookupError):
            pass
    exec("x = '\udfff'")
