# Every function of every native module, called with what it does not expect.
# expect: succeeded
# result: true
# profile: patient
import sys

ODD = (None, -1, 2**16, 2**64, 1.5, float("nan"), "", "\ud800", b"\xff", [], (), {}, object, print)
# They wait, end the task, or take as long as they are told to.
SKIPPED = {
    "_exit", "abort", "breakpoint", "comb", "dump_traceback_later", "exec", "exit", "factorial",
    "input", "interrupt_main", "perm", "select", "setprofile", "settrace", "sleep",
}  # fmt: skip


def main():
    calls = 0
    for module in sys.builtin_module_names:
        try:
            module = __import__(module)
        except ImportError:
            continue
        for name, function in list(vars(module).items()):
            if name in SKIPPED or not callable(function):
                continue
            for arguments in [(), *[(a,) for a in ODD], (b"", -1), ("", None, {})]:
                try:
                    calls += 1
                    function(*arguments)
                except BaseException:
                    pass
    return calls > 1000
