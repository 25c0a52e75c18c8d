"""For tests of scripts outside ROH: what they asked for, and who they are told to be.
Inside ROH there is no such module."""

import time
from typing import Any, NamedTuple


class Published(NamedTuple):
    """What roh.amqp.publish was given."""

    exchange: str
    routing_key: str
    body: bytes
    content_type: str


class Submitted(NamedTuple):
    """What roh.submit was given, and the id that it returned."""

    task: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    id: str


published: list[Published] = []
submitted: list[Submitted] = []
# JSON by key, unless ROH_STATE names a file.
state: dict[str, bytes] = {}
# (id, attempt, tenant, deadline on the monotonic clock)
task: tuple[str, int, str, float]


def reset(
    *,
    id: str = "test",
    attempt: int = 1,
    tenant: str = "default",
    seconds: float = 30.0,
) -> None:
    """Forgets all of it, for the next test, and says which task runs."""
    global task
    published.clear()
    submitted.clear()
    state.clear()
    task = (id, attempt, tenant, time.monotonic() + seconds)


reset()
