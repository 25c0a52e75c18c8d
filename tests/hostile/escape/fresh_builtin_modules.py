# New copies of native modules, one of which nobody had patched yet.
# expect: succeeded
# result: []
import _imp
import importlib.machinery
import sys


def main():
    done = []
    for name in sys.builtin_module_names:
        if name in ("sys", "builtins", "_imp"):
            continue
        try:
            spec = importlib.machinery.ModuleSpec(name, None)
            module = _imp.create_builtin(spec)
            _imp.exec_builtin(module)
        except (ImportError, AttributeError, TypeError, OSError):
            continue
        for forbidden in ("fork", "system", "execv", "Popen", "CDLL", "dlopen", "fork_exec"):
            if hasattr(module, forbidden):
                done.append(f"{name}.{forbidden}")
    return done
