# Bytecode of a length that no bytecode has. If it has none, what lies in memory is run.
# expect: failed|timeout|out-of-memory|succeeded|crashed
def victim():
    return 1


def main():
    for code in (b"", b"\x00", b"\x01\x02\x03", victim.__code__.co_code[:-1]):
        try:
            victim.__code__ = victim.__code__.replace(co_code=code)
        except ValueError:
            continue
        victim()
