# The code of functions of the standard library, replaced in place.
# expect: succeeded
# result: ["{\"a\": 1}", "b", "a b"]
import json
import posixpath
import textwrap


def lie(*arguments, **options):
    return "canary"


def plant():
    for function in (json.dumps, posixpath.basename, textwrap.fill):
        function.__code__ = lie.__code__
        function.__kwdefaults__ = function.__defaults__ = None


def look():
    return [json.dumps({"a": 1}), posixpath.basename("a/b"), textwrap.fill("a b")]
