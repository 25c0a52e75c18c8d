# Words that nest.
# expect: failed
# error: RecursionError
def main():
    for word in (
        "not ",
        "lambda: ",
        "await ",
        "1 if 1 else ",
        "1 ** ",
        "f(",
        "[x for x in ",
        "*",
        "x := ",
    ):
        try:
            eval(word * 100_000 + "1")
        except SyntaxError:
            pass
