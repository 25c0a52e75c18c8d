# Code that says it is of a file that is none, or the host's.
# expect: failed
# error: ValueError
def main():
    for name in ("/etc/passwd", "\ud800" * 1000, "<frozen os>", "x" * 1_000_000, "a\nb"):
        try:
            exec(compile("\n" * 50_000 + "raise ValueError(name)", name, "exec"), {"name": "n"})
        except (ValueError, UnicodeError):
            pass
    exec(compile("raise ValueError('here')", "/etc/passwd", "exec"))
