# Views of dictionaries that were made without one.
# expect: succeeded|failed|crashed
# result: null
import collections


def main():
    whole = (collections.OrderedDict(), {}, collections.ChainMap(), collections.Counter())
    for view in [view for d in whole for view in (d.keys(), d.values(), d.items(), iter(d))]:
        cls = type(view)
        for name in dir(cls):
            try:
                empty = cls.__new__(cls)
                getattr(empty, name)("")
            except Exception:
                pass
