# Functions in functions, on one line each.
# expect: failed
# error: SyntaxError
def main():
    exec(
        "".join(" " * n + f"def f(a{n}=[a for a in {n},]):\n" for n in range(150))
        + " " * 150
        + "pass"
    )
