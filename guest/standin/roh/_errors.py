"""What asking the host may raise, beside ValueError and TimeoutError."""


class NotGranted(PermissionError):
    """The tenant lacks a grant. The message names it."""


class LimitReached(OSError):
    """A limit is reached: of a rate, a size, a count."""


class HostError(OSError):
    """The host tried, and it failed."""


for _error in (NotGranted, LimitReached, HostError):
    _error.__module__ = "roh"
