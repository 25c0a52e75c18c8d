"""Makes the standard library fit the sandbox, and readies it for a snapshot.

`zone_data(key)` and `zone_names()`, set by the guest, are the time zones built into it;
`alarm_…()` is what raises TimeoutError when a limit is near.
"""

import builtins
import concurrent.futures.thread
import errno
import gc
import io
import linecache
import random
import select
import socket
import sys
import threading
import time
import zoneinfo

from _sitebuiltins import Quitter


def _no_network(*_args, **_kwargs):
    raise OSError(errno.ENETUNREACH, "there is no network in ROH's sandbox")


socket.socket.__init__ = _no_network
for _name in (
    "create_connection",
    "create_server",
    "fromfd",
    "getaddrinfo",
    "gethostbyaddr",
    "gethostbyname",
    "gethostbyname_ex",
    "getnameinfo",
    "socketpair",
):
    setattr(socket, _name, _no_network)
socket.gethostname = lambda: "localhost"


def _submit(self, fn, /, *args, **kwargs):
    """ThreadPoolExecutor.submit, at once: a worker that waits would wait for ever."""
    if self._shutdown:
        raise RuntimeError("cannot schedule new futures after shutdown")
    future = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    try:
        result = fn(*args, **kwargs)
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)
    return future


concurrent.futures.thread.ThreadPoolExecutor.submit = _submit


_sleep = time.sleep
_select = select.select


def sleep(seconds, /):
    """Does nothing for so many seconds."""
    _sleep(seconds)
    # The host ends it early then.
    if alarm_due():
        alarm_raise()


def select_(*args):
    """select.select, of which only the time passes."""
    ready = _select(*args)
    if alarm_due():
        alarm_raise()
    return ready


sleep.__module__, select_.__module__, select_.__name__ = "time", "select", "select"
time.sleep, select.select = sleep, select_


def _in_place_of_alarm(setter):
    """For what has RustPython trace or profile: in place of the alarm, which does so too
    and which a script need not know of."""

    def place(function, /):
        if function is None and alarm_armed():
            return  # nothing was set
        if function is not None:
            alarm_disarm()
        setter(function)

    place.__name__ = setter.__name__
    return place


for _name in ("settrace", "setprofile", "_settraceallthreads", "_setprofileallthreads"):
    setattr(sys, _name, _in_place_of_alarm(getattr(sys, _name)))
_gettrace, _getprofile = sys.gettrace, sys.getprofile
sys.gettrace = lambda: None if alarm_armed() else _gettrace()
sys.getprofile = lambda: None if alarm_armed() else _getprofile()

# What Python tells of exceptions that get no further.
sys.unraisablehook = alarm_after(sys.unraisablehook)
threading.excepthook = alarm_after(threading.excepthook)

# Locks of a platform without threads ignore how long they may wait: nobody can give
# them back meanwhile, but `Event.wait(1)` and its like should take their time.
_lock_type = type(threading.Lock())
_acquire_at_once = _lock_type.acquire


def _acquire(self, blocking=True, timeout=-1):
    if blocking and timeout > 0 and self.locked():
        time.sleep(timeout)
        return False
    return _acquire_at_once(self, blocking, timeout)


_lock_type.acquire = _acquire

# Their RLock lacks what `threading.Condition` asks of it.
_rlock_type = type(threading.RLock())


def _release_save(self):
    count, self.locked_count = self.locked_count, 0
    return count


def _acquire_restore(self, count):
    self.locked_count = count


_rlock_type._is_owned = lambda self: self.locked_count > 0
_rlock_type._release_save = _release_save
_rlock_type._acquire_restore = _acquire_restore

# The platform has no clock of a process's CPU time. An instance does nothing else.
time.process_time = time.thread_time = time.perf_counter
time.process_time_ns = time.thread_time_ns = time.perf_counter_ns


def _load_tzdata(key):
    data = zone_data(key)
    if data is None:
        raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
    return io.BytesIO(data)


zoneinfo._common.load_tzdata = _load_tzdata
zoneinfo.available_timezones = lambda: set(zone_names())

# Python's `site` would do this; it also looks for files, of which there are none.
builtins.exit = Quitter("exit", "Ctrl-D (i.e. EOF)")
builtins.quit = Quitter("quit", "Ctrl-D (i.e. EOF)")

# A line that was printed must not be lost with an instance that ends at a limit.
for _stream in (sys.stdout, sys.stderr):
    _stream.reconfigure(line_buffering=True)

# Of the generator behind random.random() and its like, without its detours.
seed = super(random.Random, random._inst).seed


def settle():
    """The last step before the snapshot."""
    # Imported by asyncio, whose own reference stays: a script is told why not.
    sys.modules.pop("subprocess", None)
    linecache.clearcache()
    sys.path.clear()
    gc.collect()
    # What every instance starts with is not looked through for garbage again.
    gc.freeze()
