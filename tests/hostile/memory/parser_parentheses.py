# Nesting for the parser.
# expect: failed
# error: SyntaxError
def main():
    return eval("(" * 200_000 + ")" * 200_000)
