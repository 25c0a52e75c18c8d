# Environment variables, the working folder and the zone of time.
# expect: succeeded
# result: {}
import os
import time


def plant():
    os.environ["CANARY"] = "tweet"
    for name in ("putenv", "chdir", "umask"):
        try:
            getattr(os, name)(
                *{"putenv": ("CANARY", "tweet"), "chdir": ("/",), "umask": (0,)}[name]
            )
        except (OSError, AttributeError):
            pass
    time.timezone, time.tzname = 3600, ("CANARY", "CANARY")


def look():
    return {**os.environ, **({"zone": time.tzname} if "CANARY" in time.tzname else {})}
