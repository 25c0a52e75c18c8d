# A callback that the interpreter lets no exception out of, nor tells of it.
# expect: timeout
import weakref


class Watched:
    pass


def loop(*_):
    while True:
        nothing()


def nothing():
    pass


def main():
    watched = Watched()
    watcher = weakref.ref(watched, loop)
    del watched
    loop()
    return watcher
