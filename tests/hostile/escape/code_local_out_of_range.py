# The local variable number 200 of none.
# expect: crashed|failed
import dis


def victim():
    return 1


def main():
    load = bytes([dis.opmap["LOAD_FAST"], 200, dis.opmap["RETURN_VALUE"], 0])
    victim.__code__ = victim.__code__.replace(co_code=load)
    return victim()
