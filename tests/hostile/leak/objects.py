# Strings, numbers and objects in memory, looked for among all objects.
# expect: succeeded
# result: []
# profile: patient
import gc
import sys

kept = []


def canary():
    return "-".join(("tweet", "of", "the", "canary"))


def plant():
    kept.append({canary(): [canary().encode()] * 1000, "number": 2**200 + 12345})
    kept.append(sys.intern(canary()))
    gc.freeze()


def look():
    objects = gc.get_objects()
    wanted = canary()
    return [
        type(o).__name__
        for o in objects
        if isinstance(o, (dict, list, tuple)) and wanted in str(o)[: 10**5]
    ]
