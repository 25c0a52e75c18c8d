# Registries and caches of the standard library.
# expect: succeeded
# result: []
import atexit
import codecs
import collections.abc
import contextvars
import copyreg
import csv
import functools
import linecache
import re
import socket
import struct
import threading

context = contextvars.ContextVar("canary", default="none")


class Canary:
    pass


def plant():
    codecs.register(lambda name: codecs.lookup("utf-8") if name == "canary" else None)
    codecs.register_error("canary", codecs.ignore_errors)
    collections.abc.Sized.register(Canary)
    copyreg.pickle(Canary, str)
    copyreg.add_extension("canary", "tweet", 7)
    csv.register_dialect("canary")
    linecache.cache["canary"] = (1, None, ["tweet"], "canary")
    re.compile("canary.+tweet")
    socket.setdefaulttimeout(7)
    struct.calcsize("77s")
    atexit.register(print, "canary")
    threading.local().canary = threading.current_thread().canary = "tweet"
    context.set("tweet")
    functools.singledispatch(print)


def look():
    found = []
    for look_up in (codecs.lookup, codecs.lookup_error):
        try:
            look_up("canary")
            found.append("codec")
        except LookupError:
            pass
    found += [k for k in copyreg._extension_registry] + [
        c.__name__ for c in copyreg.dispatch_table if c.__name__ == "Canary"
    ]
    found += [d for d in csv.list_dialects() if d == "canary"] + [
        k for k in linecache.cache if k == "canary"
    ]
    found += [str(k) for k in re._cache if "canary" in str(k)] + [
        str(socket.getdefaulttimeout() or "")
    ]
    found += ["thread"] * hasattr(threading.current_thread(), "canary") + [context.get()]
    return [f for f in found if f not in ("", "none")]
