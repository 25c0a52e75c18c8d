# The neighbour's scripts, by all that an importer is asked.
# expect: succeeded
# result: []
import importlib.util
import pkgutil
import sys


def plant():
    sys.path.append("/")


def look():
    found = [m.name for m in pkgutil.iter_modules()]
    for name in ("secret", "neighbour", "neighbour.secret", "default.secret"):
        try:
            if importlib.util.find_spec(name) is not None:
                found.append(name)
        except ImportError:
            pass
    return found
