"""What a script may ask of ROH: about its task, for secrets, for another task.

`roh.http`, `roh.amqp` and `roh.state` are more of it. Everything goes through `_host`,
which is the sandbox's boundary inside ROH and a stand-in outside.
"""

from time import monotonic as _monotonic

from roh import _host, amqp, http
from roh._errors import HostError, LimitReached, NotGranted
from roh._state import State, state


class Task:
    """The task that the script runs for."""

    __slots__ = ()
    __module__ = "roh"

    @property
    def id(self):
        """The task's id: the same at each attempt."""
        return _host.task()[0]

    @property
    def attempt(self):
        """Which attempt at it this is, from 1."""
        return _host.task()[1]

    @property
    def tenant(self):
        """Whose task it is."""
        return _host.task()[2]

    def remaining(self):
        """Seconds left until the task's wall limit."""
        return max(0.0, _host.task()[3] - _monotonic())


task = Task()


def progress(done, total=None):
    """Tells operators how far the task has come."""
    _host.progress(float(done), None if total is None else float(total))


def secret(name):
    """The tenant's secret of this name."""
    return _host.secret(name)


def submit(task, /, *args, **kwargs):
    """Submits a task of the same tenant, "module.function". Its id."""
    return _host.submit(task, args, kwargs)
