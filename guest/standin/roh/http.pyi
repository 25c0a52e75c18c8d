from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias, TypedDict, Unpack

from roh import HostError

_Pairs: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]

class _Options(TypedDict, total=False):
    headers: _Pairs | None
    params: _Pairs | str | None
    json: Any
    data: bytes | bytearray | memoryview | str | _Pairs | None
    timeout: float | None

class HTTPStatusError(HostError):
    response: Response
    def __init__(self, message: str, response: Response = ...) -> None: ...

class Headers(Mapping[str, str]):
    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None: ...
    def __getitem__(self, name: str) -> str: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def get_all(self, name: str) -> list[str]: ...

class Response:
    status: int
    url: str
    headers: Headers
    content: bytes
    def __init__(
        self,
        status: int,
        url: str,
        headers: Iterable[tuple[str, str]],
        content: bytes,
    ) -> None: ...
    @property
    def ok(self) -> bool: ...
    @property
    def text(self) -> str: ...
    def json(self) -> Any: ...
    def raise_for_status(self) -> None: ...

def request(
    method: str,
    url: str,
    *,
    headers: _Pairs | None = None,
    params: _Pairs | str | None = None,
    json: Any = None,
    data: bytes | bytearray | memoryview | str | _Pairs | None = None,
    timeout: float | None = None,
) -> Response: ...
def get(url: str, **options: Unpack[_Options]) -> Response: ...
def post(url: str, **options: Unpack[_Options]) -> Response: ...
def put(url: str, **options: Unpack[_Options]) -> Response: ...
def patch(url: str, **options: Unpack[_Options]) -> Response: ...
def delete(url: str, **options: Unpack[_Options]) -> Response: ...
def head(url: str, **options: Unpack[_Options]) -> Response: ...
