from typing import Any

def publish(
    exchange: str,
    routing_key: str = "",
    body: Any = b"",
    *,
    content_type: str | None = None,
) -> None: ...
