# Importers that answer nonsense.
# expect: failed
# error: ImportError
import sys


def main():
    for answer in (1, "spec", object(), type):
        sys.meta_path.insert(0, type("F", (), {"find_spec": staticmethod(lambda *a, x=answer: x)}))
        try:
            import nowhere
        except (AttributeError, TypeError, ImportError):
            pass
    sys.meta_path = None
    import nowhere
