# Other programs.
# expect: succeeded
# result: []
import os


def main():
    done = []
    for name, arguments in (
        ("system", ("id",)),
        ("popen", ("id",)),
        ("fork", ()),
        ("forkpty", ()),
        ("execv", ("/bin/sh", ["sh"])),
        ("posix_spawn", ("/bin/sh", ["sh"], {})),
        ("spawnv", (0, "/bin/sh", ["sh"])),
        ("kill", (1, 9)),
        ("killpg", (0, 9)),
        ("setuid", (0,)),
        ("chroot", ("/",)),
        ("ptrace", (0,)),
    ):
        try:
            getattr(os, name)(*arguments)
            done.append(name)
        except (AttributeError, OSError, ImportError):
            pass
    return done
