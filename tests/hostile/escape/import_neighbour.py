# The neighbour's module, by every road to it.
# expect: succeeded
# result: []
import importlib
import importlib.util
import runpy
import sys


def main():
    got = []
    for name in ("secret", "neighbour.secret", "neighbour", "..secret"):
        for load in (
            __import__,
            importlib.import_module,
            importlib.util.find_spec,
            runpy.run_module,
            lambda n: exec(f"from {n.strip('.')} import *"),
            lambda n: exec(
                "from .. import secret", {"__name__": "script", "__package__": "script.x"}
            ),
        ):
            try:
                if load(name) is not None:
                    got.append(name)
            except (ImportError, TypeError, ValueError, AttributeError, SyntaxError, KeyError):
                pass
    sys.path[:] = ["/", "..", "../neighbour", "/etc"]
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    try:
        import secret

        got.append(secret.__name__)
    except ImportError:
        pass
    return got
