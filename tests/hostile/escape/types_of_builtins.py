# Methods and attributes of built-in types, replaced.
# expect: succeeded
# result: []
def main():
    changed = []
    for cls in (int, str, list, dict, type, object, BaseException, type(main), type(main.__code__)):
        for name in (
            "__class__",
            "__str__",
            "__len__",
            "__hash__",
            "__dict__",
            "__mro__",
            "mine",
            "__new__",
        ):
            try:
                setattr(cls, name, None)
                changed.append(f"{cls.__name__}.{name}")
            except (TypeError, AttributeError):
                pass
    return changed
