# Source that is looked up for the traceback, and made up.
# expect: failed
# error: ValueError
import linecache


def main():
    linecache.cache["script.py"] = (5, None, ["x" * 10_000_000] * 100, "script.py")
    linecache.getline = linecache.getlines = linecache.checkcache = lambda *a, **k: 1 / 0
    raise ValueError("which line?")
