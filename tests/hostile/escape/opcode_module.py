# Native helpers of the disassembler and of debuggers.
# expect: succeeded
# result: null
import _opcode


def main():
    for name in dir(_opcode):
        for arguments in (
            (),
            (-1,),
            (2**31 - 1,),
            (0, 0),
            (100, 2**31 - 1),
            ("x",),
            (main.__code__,),
            (5, -1),
        ):
            try:
                getattr(_opcode, name)(*arguments)
            except (ValueError, TypeError, OverflowError, AttributeError):
                pass
