# Bytecode with one instruction replaced, run, again and again.
# expect: failed|timeout|out-of-memory|succeeded|crashed
import random


def victim(a=3, *b, c=4, **d):
    with open as file:
        return [x + a for x in b] or {**d, "c": c, "f": f"{file!r:>10}"}


def main():
    random.seed(6)
    code = victim.__code__
    for _ in range(300):
        changed = bytearray(code.co_code)
        at = random.randrange(len(changed) // 2) * 2
        changed[at] = random.randrange(256)
        try:
            victim.__code__ = code.replace(co_code=bytes(changed))
            victim(1, 2)
        except Exception:
            pass
