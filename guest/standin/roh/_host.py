"""The host's part, outside ROH: the network is this machine's, secrets come from the
environment, and what would go to the broker is kept in `roh.testing`.

    ROH_SECRET_NAME   the secret NAME
    ROH_STATE         a file of JSON that keeps the store; without it, memory does
"""

import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
import uuid
from http.client import HTTPException, InvalidURL

from roh import testing
from roh._errors import HostError, NotGranted


def task():
    """(id, attempt, tenant, its deadline on the monotonic clock)"""
    return testing.task


def progress(done, total):
    """Shows it."""
    of = "" if total is None else f" of {total:g}"
    print(f"roh: {done:g}{of} done", file=sys.stderr)


def secret(name):
    """From the environment."""
    _check(name)
    try:
        return os.environ[f"ROH_SECRET_{name}"]
    except KeyError:
        raise NotGranted(f"no secret {name!r}: set ROH_SECRET_{name}") from None


def submit(task, args, kwargs):
    """Keeps it."""
    _check(task)
    to_json(args, "args")
    to_json(kwargs, "kwargs")
    submitted = testing.Submitted(task, args, kwargs, str(uuid.uuid4()))
    testing.submitted.append(submitted)
    return submitted.id


def publish(exchange, routing_key, content_type, body):
    """Keeps it."""
    _check(exchange, routing_key, content_type)
    testing.published.append(
        testing.Published(exchange, routing_key, body, content_type)
    )


def http(method, url, headers, body, timeout):
    """(status, url, headers, content)"""
    _check(method, url)
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"not an address of http or https: {url!r}")
    request = urllib.request.Request(url, body or None, dict(headers), method=method)
    seconds = 30 if timeout is None else timeout / 1000
    try:
        with _opened(request, seconds) as response:
            headers = [(name.lower(), value) for name, value in response.headers.items()]
            return response.status, response.url, headers, response.read()
    except InvalidURL as error:
        raise ValueError(str(error)) from None
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        # Python 3.9 has one for sockets that is no TimeoutError.
        late = isinstance(reason, (TimeoutError, socket.timeout))
        kind = TimeoutError if late else HostError
        raise kind(f"{method} {url}: {str(reason) or repr(reason)}") from None


def _opened(request, seconds):
    """The response, whatever its status."""
    try:
        return urllib.request.urlopen(request, timeout=seconds)
    except urllib.error.HTTPError as response:
        return response


def state_get(key):
    """JSON, or None."""
    _check(key)
    return _stored().get(key)


def state_set(key, value):
    """Keeps JSON."""
    _check(key)
    _store({**_stored(), key: value})


def state_delete(key):
    """Whether there was one."""
    _check(key)
    stored = _stored()
    if key not in stored:
        return False
    del stored[key]
    _store(stored)
    return True


def state_keys(prefix):
    """The keys that start so, in order."""
    _check(prefix)
    return sorted(key for key in _stored() if key.startswith(prefix))


def _stored():
    path = os.environ.get("ROH_STATE")
    if not path:
        return testing.state
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return {key: to_json(value, "value") for key, value in json.load(file).items()}


def _store(stored):
    path = os.environ.get("ROH_STATE")
    if not path:
        testing.state = stored
        return
    with open(path, "w", encoding="utf-8") as file:
        json.dump({key: from_json(value) for key, value in stored.items()}, file)


def _check(*texts):
    """That they are str, and without lone surrogates: nothing else gets to the host."""
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"Expected type 'str', not '{type(text).__name__}'")
        text.encode()


def to_json(value, _name):
    """Bytes of JSON."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


def from_json(value):
    """What bytes of JSON say."""
    return json.loads(value)
