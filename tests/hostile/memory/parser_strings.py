# Strings that hold expressions that hold strings.
# expect: failed
# error: SyntaxError
def main():
    source = "1"
    for _ in range(5_000):
        source = f"f'{{{source}}}'"
    return eval(source)
