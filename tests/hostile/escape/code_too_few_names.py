# The names and constants that bytecode refers to are gone.
# expect: crashed|failed
def victim(a):
    import os

    return os.path.join(str(a), "b")


def main():
    victim.__code__ = victim.__code__.replace(co_names=(), co_consts=())
    return victim(1)
