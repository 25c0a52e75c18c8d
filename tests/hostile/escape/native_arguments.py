# Every function of every native module, called with what it does not expect.
# expect: succeeded|timeout|failed|out-of-memory
# profile: patient
import sys

ODD = (None, -1, 2**31 - 1, 2**64, 1.5, float("nan"), "", "\ud800", b"", b"\xff", [], (), {}, object, print)
SKIPPED = {
    "_exit", "abort", "exit", "sleep", "_debugmallocstats", "input", "breakpoint", "start_new_thread",
    "pause", "exec", "interrupt_main", "settrace", "setprofile", "_exit", "select", "breakpointhook",
}  # fmt: skip


def main():
    calls = 0
    for module in sys.builtin_module_names:
        if module in ("faulthandler",):
            continue
        try:
            module = __import__(module)
        except ImportError:
            continue
        for name, function in list(vars(module).items()):
            if name in SKIPPED or not callable(function):
                continue
            for arguments in [(), *[(a,) for a in ODD], *[(a, ODD[n - 3]) for n, a in enumerate(ODD)]]:
                try:
                    calls += 1
                    function(*arguments)
                except BaseException:
                    pass
    return calls > 1000
