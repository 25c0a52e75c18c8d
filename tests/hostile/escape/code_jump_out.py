# Jumps out of the code.
# expect: crashed|failed
import dis


def victim():
    return 1


def main():
    jump = bytes([dis.opmap["EXTENDED_ARG"], 255, dis.opmap["JUMP_FORWARD"], 255])
    victim.__code__ = victim.__code__.replace(co_code=jump)
    return victim()
