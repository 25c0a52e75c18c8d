"""HTTP requests, which the host makes."""

from collections.abc import Mapping as _Mapping
from json import loads as _loads
from urllib.parse import urlencode as _urlencode

from roh import _host
from roh._errors import HostError as _HostError

# The host takes as many milliseconds as fit into 32 bits.
_LONGEST = 2**32 - 1


class HTTPStatusError(_HostError):
    """The server answered with an error. It is in `response`."""

    def __init__(self, message, response=None):
        super().__init__(message)
        self.response = response


class Headers(_Mapping):
    """Headers by name, in any case of letters."""

    __slots__ = ("_values",)

    def __init__(self, pairs=()):
        self._values = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    def __getitem__(self, name):
        return ", ".join(self._values[name.lower()])

    def get_all(self, name):
        """All values of a header that came more than once."""
        return list(self._values.get(name.lower(), ()))

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def __repr__(self):
        return f"Headers({dict(self)!r})"


class Response:
    """What a server answered."""

    __slots__ = ("content", "headers", "status", "url")

    def __init__(self, status, url, headers, content):
        self.status = status
        self.url = url
        self.headers = Headers(headers)
        self.content = content

    @property
    def ok(self):
        """Whether the status is no error."""
        return self.status < 400

    @property
    def text(self):
        """The content as text, in the charset that its type names or else UTF-8."""
        charset = "utf-8"
        for parameter in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "charset":
                charset = value.strip(" \"'")
        try:
            return self.content.decode(charset, "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self):
        """The content, which is JSON."""
        return _loads(self.content)

    def raise_for_status(self):
        """Raises HTTPStatusError if the status is an error."""
        if not self.ok:
            raise HTTPStatusError(f"status {self.status} of {self.url}", self)

    def __repr__(self):
        return f"<Response {self.status}>"


def request(
    method, url, *, headers=None, params=None, json=None, data=None, timeout=None
):
    """Makes a request. `data` is bytes, str, or what makes a form: a dict or pairs."""
    pairs = headers.items() if hasattr(headers, "items") else headers or ()
    pairs = [(str(name), str(value)) for name, value in pairs]
    kind, body = _body(json, data)
    if kind and not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.append(("content-type", kind))
    if params:
        if not isinstance(params, str):
            params = _urlencode(params, doseq=True)
        url, hash_sign, fragment = url.partition("#")
        url += ("&" if "?" in url else "?") + params + hash_sign + fragment
    if timeout is not None:
        timeout = min(max(round(timeout * 1000), 1), _LONGEST)
    return Response(*_host.http(method.upper(), url, pairs, body, timeout))


def _body(json, data):
    """Its type, if one follows from it, and the bytes."""
    if json is not None:
        if data is not None:
            raise TypeError("a request has either json or data")
        return "application/json", _host.to_json(json, "json")
    if data is None:
        return None, b""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return None, bytes(data)
    if isinstance(data, str):
        return None, data.encode()
    return "application/x-www-form-urlencoded", _urlencode(data, doseq=True).encode()


def get(url, **options):
    """A GET request, with the options of `request`."""
    return request("GET", url, **options)


def post(url, **options):
    """A POST request, with the options of `request`."""
    return request("POST", url, **options)


def put(url, **options):
    """A PUT request, with the options of `request`."""
    return request("PUT", url, **options)


def patch(url, **options):
    """A PATCH request, with the options of `request`."""
    return request("PATCH", url, **options)


def delete(url, **options):
    """A DELETE request, with the options of `request`."""
    return request("DELETE", url, **options)


def head(url, **options):
    """A HEAD request, with the options of `request`."""
    return request("HEAD", url, **options)
