# Takes from an empty stack.
# expect: crashed|failed
import dis


def victim():
    pass


def main():
    pop = bytes([dis.opmap["POP_TOP"], 0])
    victim.__code__ = victim.__code__.replace(co_code=pop * 100)
    victim()
