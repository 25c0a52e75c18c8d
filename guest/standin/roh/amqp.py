"""Messages to the broker."""

from roh import _host


def publish(exchange, routing_key="", body=b"", *, content_type=None):
    """Publishes a message and returns once the broker has it. A body that is neither
    bytes nor str is sent as JSON."""
    if isinstance(body, (bytes, bytearray, memoryview)):
        kind, body = "application/octet-stream", bytes(body)
    elif isinstance(body, str):
        kind, body = "text/plain; charset=utf-8", body.encode()
    else:
        kind, body = "application/json", _host.to_json(body, "body")
    _host.publish(exchange, routing_key, content_type or kind, body)
