"""Serves the tenant's data files, read-only, below /data. There are no others.

`data_file(path)` and `data_folder(path)`, set by the guest, answer None for what there
isn't.
"""

import builtins
import errno
import io
import os
import posixpath
import stat

_READ_ONLY = "data files are read-only in ROH's sandbox"


def _below_data(path):
    """What the host calls it, or None for what is not below /data."""
    if isinstance(path, int):
        return None
    path = os.fspath(path)
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    path = posixpath.normpath(path)
    if path == "/data":
        return ""
    return path[len("/data/") :] if path.startswith("/data/") else None


def _missing(path):
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


class _DataFile(io.BytesIO):
    """A data file, in binary."""

    def __init__(self, content, name):
        super().__init__(content)
        self.name = name
        self.mode = "rb"

    def writable(self):
        return False

    def _refuse(self, *_args):
        raise io.UnsupportedOperation(_READ_ONLY)

    write = writelines = truncate = fileno = _refuse


_open = io.open


def open(
    file,
    mode="r",
    buffering=-1,
    encoding=None,
    errors=None,
    newline=None,
    closefd=True,
    opener=None,
):
    """Opens a file."""
    path = _below_data(file)
    if path is None:
        return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    if not set(mode) <= set("rbt") or "r" not in mode or {"b", "t"} <= set(mode):
        if set(mode) & set("wax+"):
            raise PermissionError(errno.EACCES, _READ_ONLY, file)
        raise ValueError(f"invalid mode: {mode!r}")
    if "b" in mode and (encoding, errors, newline) != (None, None, None):
        raise ValueError("binary mode takes no encoding, errors or newline")
    content = data_file(path)
    if content is None:
        if data_folder(path) is not None:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), file)
        raise _missing(file)
    binary = _DataFile(content, file)
    if "b" in mode:
        return binary
    text = io.TextIOWrapper(binary, encoding or "utf-8", errors, newline)
    text.mode = mode
    return text


_stat = os.stat
_lstat = os.lstat
_listdir = os.listdir
_scandir = os.scandir


def _data_stat(file, path):
    content = data_file(path) if path else None
    if content is not None:
        return os.stat_result(
            (stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, len(content), 0, 0, 0)
        )
    if data_folder(path) is not None:
        return os.stat_result((stat.S_IFDIR | 0o555, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    raise _missing(file)


def _stats(original):
    def stat(path, *args, **options):
        below = _below_data(path)
        if below is None:
            return original(path, *args, **options)
        return _data_stat(path, below)

    stat.__name__ = original.__name__
    return stat


def _names(file, path):
    names = data_folder(path)
    if names is None:
        raise _missing(file)
    return names


def listdir(path="."):
    """The names in a folder."""
    below = _below_data(path)
    if below is None:
        return _listdir(path)
    return [name.rstrip("/") for name in _names(path, below)]


class _DataEntry:
    """What os.scandir tells of a data file or a folder of them."""

    def __init__(self, folder, name):
        self.name = name.rstrip("/")
        self.path = os.path.join(folder, self.name)
        self._is_folder = name.endswith("/")

    def is_dir(self, *, follow_symlinks=True):
        return self._is_folder

    def is_file(self, *, follow_symlinks=True):
        return not self._is_folder

    def is_symlink(self):
        return False

    def is_junction(self):
        return False

    def stat(self, *, follow_symlinks=True):
        return os.stat(self.path)

    def __fspath__(self):
        return self.path

    def __repr__(self):
        return f"<DirEntry {self.name!r}>"


class _DataEntries:
    """Its entries, which need no closing."""

    def __init__(self, entries):
        self._entries = iter(entries)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        pass

    def close(self):
        pass


def scandir(path="."):
    """The entries of a folder."""
    below = _below_data(path)
    if below is None:
        return _scandir(path)
    folder = os.fspath(path)
    return _DataEntries([_DataEntry(folder, name) for name in _names(path, below)])


builtins.open = io.open = open
os.stat = _stats(_stat)
os.lstat = _stats(_lstat)
os.listdir = listdir
os.scandir = scandir
