# Descriptors that the host may have left open, and its own.
# expect: succeeded
# result: []
import os


def main():
    done = []
    for fd in [0, *range(3, 300), -1, 2**31 - 1]:
        for name, attempt in {
            "read": lambda: os.read(fd, 100) or 1 / 0,
            "write": lambda: os.write(fd, b"x"),
            "open": lambda: open(fd, "rb").read() or 1 / 0,
            "fstat": lambda: fd > 2 and os.fstat(fd) or 1 / 0,
            "seek": lambda: os.lseek(fd, 0, 0),
            "list": lambda: os.listdir(fd),
            "dup": lambda: os.dup(fd),
        }.items():
            try:
                attempt()
                done.append([fd, name])
            except (OSError, AttributeError, ValueError, ArithmeticError, NotImplementedError):
                pass
    return done
