# The function behind imports asks the host for files. It must not leave the folder.
# expect: succeeded
# result: []
import gc
import sys

NAMES = (
    "../neighbour/secret",
    "..neighbour.secret",
    "neighbour.secret",
    "secret",
    "/etc/passwd",
    "../../etc/passwd",
    "..\\..\\secret",
    "os/../../neighbour/secret",
    ".",
    "..",
    "...",
    "",
    "a\0b",
    "\ud800",
    "x" * 100_000,
    "x." * 50_000,
    "~/.ssh/id_rsa",
    "__init__",
    "script.py",
)


def main():
    finders = {getattr(sys.meta_path[n], "find_spec", None) for n in range(len(sys.meta_path))}
    find = next(
        f.__globals__["host_find"] for f in finders if "host_find" in getattr(f, "__globals__", ())
    )
    found = []
    for name in NAMES:
        try:
            if find(name) is not None:
                found.append(name)
        except (ImportError, ValueError):
            pass
    for wrong in (None, 1, b"secret", [], type("S", (str,), {})("secret")):
        try:
            if find(wrong) is not None:
                found.append(str(wrong))
        except TypeError:
            pass
    return found
