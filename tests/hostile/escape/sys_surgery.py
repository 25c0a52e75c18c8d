# The attributes of `sys` that native code relies on, removed or replaced.
# expect: failed
# error: ValueError
import sys


def main():
    for name in [n for n in dir(sys) if n not in ("modules", "__name__")]:
        try:
            setattr(sys, name, None)
            delattr(sys, name)
        except (AttributeError, TypeError):
            pass
    raise ValueError("nothing left")
