# Attributes of classes of the standard library, and what they keep of their subclasses.
# expect: succeeded
# result: []
import collections
import decimal
import enum
import logging


class Canary(dict, metaclass=type):
    pass


def plant():
    for cls in (collections.OrderedDict, decimal.Decimal, enum.Enum, logging.Logger, Exception):
        try:
            cls.canary = "tweet"
        except TypeError:
            pass
    logging.Logger.manager.loggerDict["canary"] = logging.getLogger("tweet")
    logging.getLogger().addHandler(logging.NullHandler())


def look():
    found = [
        c.__name__
        for c in (collections.OrderedDict, logging.Logger, enum.Enum)
        if hasattr(c, "canary")
    ]
    found += [
        c.__module__ for c in dict.__subclasses__() if c.__name__ == "Canary" and c is not Canary
    ]
    return found + [n for n in logging.Logger.manager.loggerDict if n in ("canary", "tweet")]
