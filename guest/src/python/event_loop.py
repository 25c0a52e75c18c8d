"""An asyncio event loop without sockets: in the sandbox, only time passes.

`alarm_due()` and `alarm_raise()`, set by the guest, tell and raise that a limit is near.
"""

import asyncio
import time
from asyncio import base_events, events, runners, tasks, unix_events

_sleep = time.sleep


class _Clock:
    """What a loop asks for events. There are none, so it sleeps."""

    def __init__(self, loop):
        self._loop = loop

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError(
                "the event loop waits for something that cannot happen in ROH's sandbox"
            )
        if timeout > 0:
            _sleep(timeout)
            if alarm_due():
                self._loop.limit_is_near()
        return ()

    def close(self):
        pass


class EventLoop(base_events.BaseEventLoop):
    """The loop that asyncio.run and new_event_loop make."""

    def __init__(self, selector=None):
        super().__init__()
        self._selector = _Clock(self)
        self._main = None

    def run_until_complete(self, future):
        self._main = future = tasks.ensure_future(future, loop=self)
        return super().run_until_complete(future)

    def limit_is_near(self):
        """Raises it where the main task waits: in a line of the script's."""
        try:
            alarm_raise()
        except TimeoutError as error:
            waited = self._main
            while isinstance(waited, asyncio.Task):
                waited = waited._fut_waiter
            if not isinstance(waited, asyncio.Future) or waited.done():
                raise
            waited.set_exception(error)

    def _process_events(self, event_list):
        pass

    def _write_to_self(self):
        # It wakes a loop that another thread asks for something; there is no other.
        pass

    def run_in_executor(self, executor, func, *args):
        # Threads run at once and to their end, so the executor's would never wait.
        future = self.create_future()
        try:
            result = func(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    async def subprocess_exec(self, *args, **kwargs):
        raise OSError("processes cannot be started in ROH's sandbox")

    subprocess_shell = subprocess_exec


class _NoSignals:
    """What asyncio.run asks of `signal`, which has none of them here."""

    SIGINT = default_int_handler = None

    @staticmethod
    def getsignal(_number):
        return NotImplemented


runners.signal = _NoSignals
events._event_loop_policy = None
unix_events._DefaultEventLoopPolicy._loop_factory = EventLoop
for module in (asyncio, unix_events):
    module.EventLoop = module.SelectorEventLoop = EventLoop

_asyncio_run = asyncio.run


def run(coroutine):
    """Runs what an `async def` function returned."""
    return _asyncio_run(coroutine)
