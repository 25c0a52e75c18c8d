# A name among the built-in functions.
# expect: succeeded
# result: false
import builtins


def plant():
    builtins.canary = builtins.len = print


def look():
    return hasattr(builtins, "canary") or len is print
