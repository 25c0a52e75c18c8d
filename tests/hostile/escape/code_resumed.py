# A generator whose code is changed while it waits.
# expect: succeeded
def numbers():
    yield 1
    yield 2


def main():
    waiting = numbers()
    next(waiting)
    numbers.__code__ = main.__code__.replace(co_flags=numbers.__code__.co_flags)
    try:
        waiting.gi_frame.f_lineno = 1
    except (AttributeError, ValueError):
        pass
    return list(waiting)
