# Folders.
# expect: succeeded
# result: []
import glob
import os
import pathlib


def main():
    seen = []
    for path in ("/", "/proc/self/fd", ".", "..", "/etc", b"/"):
        for look in (os.listdir, lambda p: list(os.scandir(p)), os.stat, os.lstat, os.readlink):
            try:
                seen.append(str(look(path)))
            except (OSError, AttributeError, TypeError):
                pass
    seen += map(str, pathlib.Path("/").glob("*"))
    seen += glob.glob("/*")
    seen += map(str, os.walk("/"))
    return seen
