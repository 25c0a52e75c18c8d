# No built-in function is left.
# expect: succeeded
# result: {"a": [1, true, null]}
import builtins


def main():
    builtins.__dict__.clear()
    return {"a": [1, True, None]}
