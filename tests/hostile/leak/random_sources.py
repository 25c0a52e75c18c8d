# Everything that is random differs from task to task, although they all start alike.
# expect: succeeded
# distinct: true
import os
import random
import secrets
import tempfile
import uuid

AT_LOAD = random.random()


def plant():
    return look()


def look():
    return [
        AT_LOAD,
        os.urandom(8).hex(),
        secrets.token_hex(8),
        str(uuid.uuid4()),
        random.SystemRandom().random(),
        next(tempfile._RandomNameSequence()),
    ]
