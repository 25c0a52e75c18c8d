"""Sends what Python's logging says to the node's log.

`log(level, logger, message)` is set by the guest.
"""

import logging


class _HostHandler(logging.Handler):
    """The root's only handler, until the script configures others."""

    def emit(self, record):
        try:
            log(record.levelno, record.name, self.format(record))
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)


_handler = _HostHandler()
_basic_config = logging.basicConfig


def basicConfig(**options):
    """logging.basicConfig, which has its say as if ours had not been there."""
    root = logging.getLogger()
    if root.handlers == [_handler]:
        root.removeHandler(_handler)
        if "level" not in options:
            root.setLevel(logging.WARNING)
    _basic_config(**options)


logging.basicConfig = basicConfig
# Its handleError expects one.
logging.__path__ = ["logging"]
logging.getLogger().addHandler(_handler)
logging.getLogger().setLevel(logging.INFO)
