# Modules that start programs, or are native code.
# expect: succeeded
# result: []
def main():
    loaded = []
    for name in (
        "subprocess",
        "_posixsubprocess",
        "multiprocessing",
        "_multiprocessing",
        "pty",
        "ctypes",
        "_ctypes",
        "mmap",
        "sqlite3",
        "_sqlite3",
        "ssl",
        "_ssl",
        "resource",
        "termios",
        "pwd",
        "_winapi",
        "webbrowser",
        "cffi",
        "_testcapi",
    ):
        try:
            __import__(name)
            loaded.append(name)
        except ImportError:
            pass
    return loaded
