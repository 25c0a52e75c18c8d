# Finders and hooks of the script's own, in front of all others.
# expect: succeeded
# result: {"os": "mine", "passwd": false}
import importlib.abc
import importlib.machinery
import sys


class Mine(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self)

    def exec_module(self, module):
        module.name = "mine"


def main():
    sys.meta_path.insert(0, Mine())
    sys.path_hooks.insert(0, lambda path: Mine())
    sys.modules.pop("os")
    import os
    import passwd

    return {"os": os.name, "passwd": "root" in str(vars(passwd))}
