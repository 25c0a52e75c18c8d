"""Imports the tenant's modules, which the host serves, and says why others are missing.

`host_find(name)`, set by the guest, answers None or (file, is_package, source).
"""

import pathlib
import sys
from importlib._bootstrap import module_from_spec
from importlib.machinery import FrozenImporter, ModuleSpec

_NATIVE = "it needs native code"
_NETWORK = "there is no network"
_PROCESSES = "no process can be started"
_TERMINAL = "there is no terminal"
_WINDOWS = "there is no display"
_FILES = "there are no files"
_PROFILER = "it needs a native profiler"
_TRACER = "it needs a native tracer"
_INSTALL = "nothing can be installed"

# Modules of Python's standard library that cannot work here, and why.
_UNAVAILABLE = {
    "_ctypes": _NATIVE,
    "_curses": _TERMINAL,
    "_lsprof": _PROFILER,
    "_multiprocessing": _PROCESSES,
    "_posixsubprocess": _PROCESSES,
    "_sqlite3": _NATIVE,
    "_ssl": _NETWORK,
    "_tkinter": _WINDOWS,
    "_tracemalloc": _TRACER,
    "cProfile": _PROFILER,
    "ctypes": _NATIVE,
    "curses": _TERMINAL,
    "dbm": _FILES,
    "ensurepip": _INSTALL,
    "grp": "there are no users",
    "idlelib": _WINDOWS,
    "mmap": _FILES,
    "multiprocessing": _PROCESSES,
    "pip": _INSTALL,
    "pty": _TERMINAL,
    "pwd": "there are no users",
    "readline": _TERMINAL,
    "resource": "ROH itself sets the limits",
    "shelve": _FILES,
    "sqlite3": _NATIVE,
    "ssl": _NETWORK,
    "subprocess": _PROCESSES,
    "syslog": "there is no system log",
    "termios": _TERMINAL,
    "tkinter": _WINDOWS,
    "tty": _TERMINAL,
    "tracemalloc": _TRACER,
    "turtle": _WINDOWS,
    "turtledemo": _WINDOWS,
    "venv": _INSTALL,
    "webbrowser": _PROCESSES,
}


class Importer:
    """Finder and loader of the tenant's modules."""

    def __init__(self):
        # name: (file, is_package, source), of what was found
        self._found = {}
        # name: the same, of what was asked for ahead
        self._known = {}
        self._ran = set()

    def know(self, name, found):
        """Spares the host a question."""
        self._known[name] = found

    def find_spec(self, name, path=None, target=None):
        parent = name.rpartition(".")[0]
        if parent and parent not in self._found:
            return None  # inside a package of the standard library, or of ours
        found = self._known.pop(name, None) or host_find(name)
        if found is not None:
            return self.spec(name, *found)
        if name in _UNAVAILABLE:
            raise ModuleNotFoundError(
                f"module {name!r} is not available inside ROH's sandbox: {_UNAVAILABLE[name]}",
                name=name,
            )
        return None

    def spec(self, name, file, is_package, source):
        self._found[name] = (file, is_package, source)
        spec = ModuleSpec(name, self, origin=file, is_package=is_package)
        if is_package:
            spec.submodule_search_locations.append(file.rpartition("/")[0])
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__spec__.name
        module.__file__ = self._found[name][0]
        self._ran.add(name)
        exec(self.get_code(name), module.__dict__)

    def ran(self, name):
        return name in self._ran

    # What `linecache`, `inspect` and `runpy` ask of a loader.

    def get_code(self, name):
        file, _, source = self._found[name]
        return compile(source, file, "exec", dont_inherit=True)

    def get_source(self, name):
        if name not in self._found:
            raise ImportError(f"no source of {name!r}", name=name)
        return self._found[name][2]

    def get_filename(self, name):
        return self._found[name][0]

    def is_package(self, name):
        return self._found[name][1]

    def get_resource_reader(self, name):
        return _Resources(name) if self.is_package(name) else None


class _Resources:
    """For `importlib.resources`: the data files in the folder of a package's name."""

    def __init__(self, name):
        self._folder = pathlib.Path("/data", *name.split("."))

    def files(self):
        return self._folder


class Own:
    """Finder and loader of `roh`, which no module of a tenant's replaces."""

    def __init__(self, sources):
        self._sources = sources

    def find_spec(self, name, path=None, target=None):
        if name in self._sources:
            return ModuleSpec(name, self, origin="roh", is_package=name == "roh")
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__spec__.name
        code = compile(self._sources[name], f"<roh {name}>", "exec", dont_inherit=True)
        exec(code, module.__dict__)


def import_roh(sources):
    """Makes `roh` of its modules' sources, and imports it."""
    sys.meta_path.insert(0, Own(sources))
    import roh

    return roh


_importer = Importer()


def install():
    """Puts the tenant's modules before the standard library, as Python does with a
    script's own folder. What was imported at boot stays what it is."""
    sys.meta_path.insert(sys.meta_path.index(FrozenImporter), _importer)


def import_script(name, _import=__import__):
    """The tenant's module of this dotted name, or None."""
    found = host_find(name)
    if found is None:
        return None
    taken = name in sys.modules or name in sys.builtin_module_names
    if "." not in name and not taken:
        # Without looking for it a second time, which takes longer than all the rest.
        return _run(name, *found)
    _importer.know(name, found)
    _import(name)
    if not _importer.ran(name):
        raise ImportError(
            f"script {name!r} has the name of a module that is loaded already, of Python's "
            "standard library or of ROH: give it another name",
            name=name,
        )
    return sys.modules[name]


def _run(name, file, is_package, source):
    """Makes that module much as an import does; or else what it put in its place."""
    spec = _importer.spec(name, file, is_package, source)
    module = module_from_spec(spec)
    # Who imports it meanwhile gets it as far as it is, and is told so if that lacks something.
    spec._initializing = True
    sys.modules[name] = module
    try:
        _importer.exec_module(module)
    except:
        sys.modules.pop(name, None)
        raise
    finally:
        spec._initializing = False
    found = sys.modules.get(name)
    return module if found is None else found


def run_inline(file, source):
    """Runs source that came with a task, as a module named after its file."""
    stem = file.rpartition("/")[2].removesuffix(".py")
    name = "".join(c if c.isalnum() else "_" for c in stem)
    if not name.isidentifier() or name == "__main__":
        name = f"script_{name}"
    if name in sys.modules or name in sys.stdlib_module_names:
        # It must not take the place of what others import.
        name = f"{name}_script"
    return _run(name, file, False, source)
