# Our importer, with its state replaced.
# expect: succeeded
# result: "made up"
import sys


def main():
    importer = next(f for f in sys.meta_path if type(f).__name__ == "Importer")
    importer._found.update({"made": ("made.py", False, "x = 'made up'"), "bad": 5, None: None})
    importer._ran = None
    code = importer.get_code("made")
    scope = {}
    exec(code, scope)
    for name in ("bad", None, "missing"):
        for ask in (
            importer.get_source,
            importer.get_code,
            importer.is_package,
            importer.get_filename,
        ):
            try:
                ask(name)
            except (TypeError, KeyError, ImportError, IndexError):
                pass
    return scope["x"]
