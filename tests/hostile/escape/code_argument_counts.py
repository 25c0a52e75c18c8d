# More arguments than variables.
# expect: crashed|failed
def victim(a, b):
    return a


def main():
    for change in (
        {"co_argcount": 1000},
        {"co_argcount": 2**31 - 1},
        {"co_kwonlyargcount": 1000},
        {"co_posonlyargcount": 1000},
        {"co_nlocals": 0},
        {"co_varnames": ()},
        {"co_stacksize": 0},
        {"co_flags": 0xFFFFFFFF},
        {"co_firstlineno": -(2**31)},
        {"co_linetable": b"\xff" * 100},
        {"co_exceptiontable": b"\xff" * 100},
    ):
        try:
            victim.__code__ = victim.__code__.replace(**change)
            victim(1, 2)
        except (ValueError, TypeError, OverflowError):
            pass
    victim(*range(1000))
