# The old road from an empty tuple to everything.
# expect: succeeded
# result: []
def main():
    reached, todo = [], [().__class__.__base__]
    seen = set()
    while todo:
        cls = todo.pop()
        if cls in seen:
            continue
        seen.add(cls)
        if cls.__name__ in ("Popen", "CDLL", "mmap", "socket"):
            try:
                reached.append(repr(cls("id")))
            except (
                OSError,
                TypeError,
                ValueError,
                AttributeError,
                ImportError,
                NotImplementedError,
            ):
                pass
        try:
            todo += type.__subclasses__(cls)
        except TypeError:
            pass
    return reached
