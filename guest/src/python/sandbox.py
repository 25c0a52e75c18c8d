"""Makes the standard library tell what the sandbox is, and readies it for a snapshot."""

import builtins
import concurrent.futures.thread
import errno
import gc
import linecache
import os
import random
import socket
import sys

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

# Python's `site` would do this; it also looks for files, of which there are none.
builtins.exit = Quitter("exit", "Ctrl-D (i.e. EOF)")
builtins.quit = Quitter("quit", "Ctrl-D (i.e. EOF)")

_streams = (sys.stdout, sys.stderr)
# A line that was printed must not be lost with an instance that ends at a limit.
for _stream in _streams:
    _stream.reconfigure(line_buffering=True)


def flush():
    """Flushes the script's streams, and our own if it has replaced them."""
    for stream in {*_streams, sys.stdout, sys.stderr}:
        try:
            stream.flush()
        except Exception:
            # Closed, or not a stream: nothing to save.
            pass


_generator = random._inst


def reseed(_seed=_generator.seed, _urandom=os.urandom):
    """Gives the generator behind random.random() and its like a state of its own."""
    _generator.gauss_next = None
    _seed(int.from_bytes(_urandom(32), "big"))


def settle():
    """The last step before the snapshot."""
    # Imported by asyncio, whose own reference stays: a script is told why not.
    sys.modules.pop("subprocess", None)
    linecache.clearcache()
    sys.path.clear()
    gc.collect()
    # What every instance starts with is not looked through for garbage again.
    gc.freeze()
