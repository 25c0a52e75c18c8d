# Handlers that are nowhere.
# expect: failed|crashed
def victim():
    try:
        return 1 / 0
    except ValueError:
        return 2


def main():
    victim.__code__ = victim.__code__.replace(co_exceptiontable=b"\x80\x3f\x3f\x3f" * 10)
    return victim()
