# An `__import__` of the script's own.
# expect: succeeded
# result: 3
import builtins


def main():
    builtins.__import__ = lambda name, *rest: 3
    import anything

    return anything
