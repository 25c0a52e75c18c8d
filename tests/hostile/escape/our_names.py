# Names of ours: Python has none of them, and cannot call past them.
# expect: succeeded
# result: []
import gc
import sys


def main():
    found = []
    for name, module in list(sys.modules.items()):
        for attribute in (
            "module_find",
            "module_read",
            "panicked",
            "roh_load",
            "roh_call",
            "roh_boot",
            "roh_alloc",
        ):
            if attribute in getattr(module, "__dict__", ()):
                found.append(f"{name}.{attribute}")
    return found
