# Code that runs with the built-in functions as its variables.
# expect: succeeded
# result: 2
import builtins


def main():
    exec("def len(x): return 2\nisinstance = __build_class__ = None", builtins.__dict__)
    return len([])
