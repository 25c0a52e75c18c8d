# Constants of types that no compiler makes.
# expect: succeeded
def victim():
    return 1 + 2.5, "x"


def main():
    consts = tuple([object(), [], {}, set()][n % 4] for n in range(len(victim.__code__.co_consts)))
    victim.__code__ = victim.__code__.replace(co_consts=consts)
    victim()
