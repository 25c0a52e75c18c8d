# The compiler as a heater.
# expect: timeout
def main():
    source = "\n".join(
        f"def f{n}(a, b={n}):\n    return [a + b for _ in range({n})]" for n in range(300)
    )
    while True:
        compile(source, "made", "exec", optimize=2)
