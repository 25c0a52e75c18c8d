# Loaders of native code.
# expect: succeeded
# result: []
import _imp
import importlib.machinery
import importlib.util


def main():
    loaded = []
    for name in (
        "ExtensionFileLoader",
        "SourceFileLoader",
        "SourcelessFileLoader",
        "AppleFrameworkLoader",
    ):
        try:
            loader = getattr(importlib.machinery, name)("libc", "/lib/x86_64-linux-gnu/libc.so.6")
            spec = importlib.util.spec_from_loader("libc", loader)
            module = importlib.util.module_from_spec(spec)
            loader.exec_module(module)
            loaded.append(name)
        except (ImportError, OSError, AttributeError, TypeError, NotImplementedError):
            pass
    spec = importlib.machinery.ModuleSpec("_ctypes", None, origin="/lib/x86_64-linux-gnu/libc.so.6")
    for name in ("create_dynamic", "exec_dynamic", "create_builtin", "exec_builtin"):
        try:
            if getattr(_imp, name)(spec) is not None and name == "create_dynamic":
                loaded.append(name)
        except (ImportError, AttributeError, TypeError, NotImplementedError):
            pass
    return loaded
