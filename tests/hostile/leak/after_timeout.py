# A task that was ended in the middle of what it did leaves nothing of it.
# plant: timeout
# expect: succeeded
# result: []
import builtins
import sys


def plant():
    builtins.canary = "tweet"
    sys.modules["canary"] = sys
    while True:
        sys.path.append("canary")
        sys.path.clear()


def look():
    return (
        [hasattr(builtins, "canary"), *sys.path] if hasattr(builtins, "canary") or sys.path else []
    )
