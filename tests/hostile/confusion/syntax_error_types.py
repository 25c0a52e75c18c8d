# A SyntaxError whose attributes have no types that it knows.
# expect: failed
# error: SyntaxError
def main():
    error = SyntaxError("made up", ("file", 1, 1, "text", 1, 1))
    error.text = error.filename = error.msg = error.offset = error.lineno = error.end_offset = (
        object()
    )
    raise error
