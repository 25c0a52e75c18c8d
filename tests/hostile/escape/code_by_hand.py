# A code object from nothing, with too little of everything.
# expect: failed|crashed
import types


def main():
    arguments = [0, 0, 0, 0, 0, 0, b"\x00\x00", (), (), (), "f", "f", "f", 1, b"", b"", (), ()]
    types.FunctionType(types.CodeType(*arguments), {})()
