# Files that every Linux has.
# expect: succeeded
# result: []
import io
import pathlib


def main():
    read = []
    for path in (
        "/etc/passwd",
        "/proc/self/environ",
        "/proc/self/mem",
        "/proc/1/cmdline",
        "/dev/zero",
        "/dev/stdin",
        "../../../../etc/hosts",
        "roh.toml",
        "",
        ".",
        "/etc/passwd\0.py",
    ):
        for opener in (open, io.open, io.FileIO, lambda p: pathlib.Path(p).read_bytes()):
            try:
                opener(path)
                read.append(path)
            except (OSError, ValueError):
                pass
    return read
