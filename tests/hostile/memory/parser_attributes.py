# As above, with attributes, calls and subscripts.
# expect: failed
# error: RecursionError
def main():
    for suffix in (".x", "()", "[0]"):
        compile("x" + suffix * 100_000, "made", "eval")
