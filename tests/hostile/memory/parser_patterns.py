# Patterns nest, too.
# expect: failed
# error: SyntaxError
def main():
    exec("match 1:\n case " + "[" * 50_000 + "]" * 50_000 + ": pass")
