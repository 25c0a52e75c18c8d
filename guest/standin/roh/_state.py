"""The tenant's store, which outlives its tasks and is shared by them."""

from collections.abc import MutableMapping

from roh import _host


class State(MutableMapping):
    """A mapping of str to whatever JSON can hold. Each access asks the host."""

    __slots__ = ()
    __module__ = "roh"

    def __getitem__(self, key):
        value = _host.state_get(key)
        if value is None:
            raise KeyError(key)
        return _host.from_json(value)

    def __setitem__(self, key, value):
        _host.state_set(key, _host.to_json(value, "value"))

    def __delitem__(self, key):
        if not _host.state_delete(key):
            raise KeyError(key)

    def keys(self, prefix=""):
        """The keys that start so, in order."""
        return _host.state_keys(prefix)

    def __iter__(self):
        return iter(_host.state_keys(""))

    def __len__(self):
        return len(_host.state_keys(""))


state = State()
