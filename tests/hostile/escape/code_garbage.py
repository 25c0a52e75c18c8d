# Random bytes in the place of bytecode.
# expect: failed|timeout|out-of-memory|succeeded|crashed
import random


def victim(a=1):
    return [a]


def main():
    random.seed(4)
    code = victim.__code__
    for _ in range(200):
        victim.__code__ = code.replace(co_code=random.randbytes(40))
        try:
            victim()
        except Exception:
            pass
