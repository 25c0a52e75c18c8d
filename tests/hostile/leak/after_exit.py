# The same of one that ended its process.
# plant: failed
# expect: succeeded
# result: false
import builtins
import os


def plant():
    builtins.canary = "tweet"
    os._exit(3)


def look():
    return hasattr(builtins, "canary")
