# Objects of built-in types, made without their own `__init__`, and used.
# expect: succeeded
# result: null
import collections
import contextvars
import functools
import io
import itertools
import queue
import random
import types


def main():
    for module in (io, collections, functools, itertools, types, random, queue, contextvars):
        for cls in vars(module).values():
            if not isinstance(cls, type):
                continue
            try:
                thing = cls.__new__(cls)
            except Exception:
                continue
            for use in (
                repr,
                str,
                hash,
                len,
                list,
                bool,
                next,
                dict,
                bytes,
                memoryview,
                lambda x: x(),
            ):
                try:
                    if cls.__name__ not in ("count", "repeat", "cycle"):
                        use(thing)
                except Exception:
                    pass
            for name in dir(cls):
                try:
                    if name not in ("get", "__init_subclass__", "acquire", "wait"):
                        getattr(thing, name)()
                except Exception:
                    pass
