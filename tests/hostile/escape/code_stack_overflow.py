# Puts on a stack that has no room.
# expect: crashed|failed
import dis


def victim():
    return None


def main():
    push = bytes([dis.opmap["LOAD_CONST"], 0])
    victim.__code__ = victim.__code__.replace(co_code=push * 100_000, co_stacksize=1)
    victim()
