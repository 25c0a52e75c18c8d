"""For tests of scripts outside ROH: what they asked for, and who they are told to be.
Inside ROH there is no such module."""

import time
from collections import namedtuple

Published = namedtuple("Published", "exchange routing_key body content_type")
Submitted = namedtuple("Submitted", "task args kwargs id")

published = []
"""What roh.amqp.publish was given."""
submitted = []
"""What roh.submit was given."""
state = {}
"""JSON by key, unless ROH_STATE names a file."""
task = None
"""(id, attempt, tenant, deadline on the monotonic clock)"""


def reset(*, id="test", attempt=1, tenant="default", seconds=30.0):
    """Forgets all of it, for the next test, and says which task runs."""
    global task
    published.clear()
    submitted.clear()
    state.clear()
    task = (id, attempt, tenant, time.monotonic() + seconds)


reset()
