# Settings of the interpreter.
# expect: succeeded
# result: []
import decimal
import gc
import locale
import sys
import warnings

DEFAULTS = (
    sys.getrecursionlimit() < 10_000,
    sys.get_int_max_str_digits() == 4300,
    gc.isenabled(),
    gc.get_threshold()[0] != 17,
    decimal.getcontext().prec == 28,
    not gc.callbacks,
    not gc.garbage,
    sys.excepthook is not print,
    sys.gettrace() is None,
    sys.stdout is sys.__stdout__,
)


def plant():
    sys.setrecursionlimit(20_000)
    sys.set_int_max_str_digits(0)
    gc.set_threshold(17, 17, 17)
    gc.callbacks.append(print)
    gc.garbage.append("canary")
    gc.disable()
    decimal.getcontext().prec = 3
    decimal.DefaultContext.prec = 3
    warnings.simplefilter("error")
    sys.excepthook = print
    sys.stdout = sys.stderr
    locale.setlocale(locale.LC_ALL, "C")
    sys.settrace(lambda *a: None)


def look():
    return [n for n, as_it_was in enumerate(DEFAULTS) if not as_it_was]
