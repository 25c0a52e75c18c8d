"""Describes an exception: its class, what it says, and a traceback of the script's lines."""

import traceback
from _imp import is_frozen
from types import TracebackType

# Of the frames of a deep recursion, those that are shown at its start and its end.
# To look at all of them would take longer than the recursion.
_FIRST = 10
_LAST = 30
# Exceptions that are shown of a chain, for the same reason.
_CHAINED = 50


class _Shortened:
    """A stack with its middle left out."""

    def __init__(self, stack, left_out):
        self._first = traceback.StackSummary.from_list(stack[:_FIRST])
        self._last = traceback.StackSummary.from_list(stack[_FIRST:])
        self._left_out = left_out

    def format(self, **options):
        return [
            *self._first.format(**options),
            f"  [{self._left_out} frames left out]\n",
            *self._last.format(**options),
        ]


def _is_the_scripts(entry):
    """Not of the standard library, whose files are its modules' names, nor ours."""
    file = entry.tb_frame.f_code.co_filename
    return not file.startswith(("<frozen ", "<roh ")) and not is_frozen(file)


def _trim(exception):
    """Leaves tracebacks of frames of the script only, and not too many of them, to an
    exception and to those it is chained to. How many were left out, by exception."""
    left_out = {}
    waiting = [exception]
    while waiting:
        exception = waiting.pop()
        if exception is None or id(exception) in left_out:
            continue
        entries = []
        entry = exception.__traceback__
        while entry is not None:
            if _is_the_scripts(entry):
                entries.append(entry)
            entry = entry.tb_next
        left_out[id(exception)] = max(0, len(entries) - _FIRST - _LAST)
        if left_out[id(exception)]:
            entries[_FIRST:-_LAST] = ()
        rest = None
        for entry in reversed(entries):
            rest = TracebackType(rest, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
        exception.__traceback__ = rest
        if len(left_out) == _CHAINED:
            exception.__cause__ = exception.__context__ = None
        waiting += (exception.__cause__, exception.__context__)
        if isinstance(exception, BaseExceptionGroup):
            waiting += exception.exceptions[:_CHAINED]
    return left_out


def _tell_left_out(report, exception, left_out):
    """Notes in a report of an exception, and of those it is chained to, what was trimmed."""
    if report is None or exception is None:
        return
    if report.stack:
        if count := left_out.get(id(exception)):
            report.stack = _Shortened(report.stack, count)
    else:
        # Without frames there is no traceback to announce.
        report.stack = None
    _tell_left_out(report.__cause__, exception.__cause__, left_out)
    _tell_left_out(report.__context__, exception.__context__, left_out)
    for inner, inner_exception in zip(
        report.exceptions or (), getattr(exception, "exceptions", ())
    ):
        _tell_left_out(inner, inner_exception, left_out)


def _kind(exception):
    cls = type(exception)
    if cls.__module__ in ("builtins", "__main__"):
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def _message(exception):
    try:
        return str(exception)
    except Exception:
        return "<exception str() failed>"


def _holds_timeout(group):
    waiting = [group]
    while waiting:
        exception = waiting.pop()
        if isinstance(exception, BaseExceptionGroup):
            waiting.extend(exception.exceptions)
        elif type(exception) is TimeoutError:
            return True
    return False


def describe(exception, alarmed):
    """(kind, message, traceback). Once TimeoutError was raised for a limit (`alarmed`), a
    group that holds one is one, so that a task ends as it would without its TaskGroup."""
    if isinstance(exception, MemoryError):
        # The locals of its frames are what fills the memory.
        traceback.clear_frames(exception.__traceback__)
    left_out = _trim(exception)
    report = traceback.TracebackException.from_exception(exception, compact=True)
    _tell_left_out(report, exception, left_out)
    kind = "TimeoutError" if alarmed and _holds_timeout(exception) else _kind(exception)
    return kind, _message(exception), "".join(report.format())
