"""Describes an exception: its class, what it says, and a traceback of the script's lines."""

import traceback
from _imp import is_frozen


def _is_the_scripts(frame):
    """Not of the standard library, whose files are its modules' names, nor ours."""
    file = frame.filename
    return not file.startswith(("<frozen ", "<roh ")) and not is_frozen(file)


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


def _keep_script_frames(report, seen):
    """Drops the frames of others, here and in all exceptions that it is chained to."""
    if report is None or id(report) in seen:
        return
    seen.add(id(report))
    if report.stack is not None:
        own = [frame for frame in report.stack if _is_the_scripts(frame)]
        report.stack[:] = own
        if not own:
            report.stack = None
    _keep_script_frames(report.__cause__, seen)
    _keep_script_frames(report.__context__, seen)
    for inner in report.exceptions or ():
        _keep_script_frames(inner, seen)


def describe(exception):
    """(kind, message, traceback)"""
    if isinstance(exception, MemoryError):
        # The locals of its frames are what fills the memory.
        traceback.clear_frames(exception.__traceback__)
    report = traceback.TracebackException.from_exception(exception, compact=True)
    _keep_script_frames(report, set())
    return _kind(exception), _message(exception), "".join(report.format())
