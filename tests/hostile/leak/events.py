# Tasks, loops and threads that were left behind.
# expect: succeeded
# result: []
import asyncio
import sys
import threading


async def canary():
    await asyncio.sleep(3600)


def plant():
    loop = asyncio.new_event_loop()
    loop.call_later(0, print, "canary")
    loop.create_task(canary(), name="canary")
    asyncio.set_event_loop(loop)
    asyncio.events._set_running_loop(loop)
    try:
        raise KeyError("canary")
    except KeyError as error:
        sys.last_exc = sys.last_value = error
    threading.Timer(0.0, print, ["canary"]).name = "canary"


def look():
    left = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
    left += [
        str(e)
        for e in (getattr(sys, "last_exc", ""), *sys.exc_info(), asyncio._get_running_loop())
        if e
    ]
    return left
