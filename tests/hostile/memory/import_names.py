# Names of modules, each as large as they can be, for the host to look up.
# expect: out-of-memory
import importlib


def main():
    for size in (100, 10_000, 1_000_000, 8_000_000):
        for name in ("x" * size, "x." * (size // 2) + "x", "\0" * size, "é" * (size // 2)):
            try:
                importlib.import_module(name)
            except (ImportError, RecursionError, ValueError, MemoryError):
                pass
