# Finders, hooks, and what our importer has found.
# expect: succeeded
# result: []
import importlib
import sys


class Canary:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("canary"):
            return importlib.machinery.ModuleSpec(name, importlib.machinery.BuiltinImporter)


def plant():
    ours = next(f for f in sys.meta_path if type(f).__name__ == "Importer")
    ours._found["canary_one"] = ("canary_one.py", False, "x = 1")
    ours._ran.add("canary_one")
    sys.meta_path.insert(0, Canary)
    sys.path_hooks.append(Canary)
    sys.path_importer_cache["canary"] = Canary
    for attribute in ("find_spec", "exec_module"):
        setattr(type(ours), attribute, getattr(type(ours), attribute))
    type(ours).canary = True


def look():
    ours = next(f for f in sys.meta_path if type(f).__name__ == "Importer")
    found = [n for n in ours._found if "canary" in n] + [n for n in ours._ran if "canary" in n]
    found += [
        str(f)
        for f in (*sys.meta_path, *sys.path_hooks, *sys.path_importer_cache)
        if "anary" in str(f)
    ]
    return found + ["class"] * hasattr(type(ours), "canary")
