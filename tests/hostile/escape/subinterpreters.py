# A second interpreter in the first, without what was done to the first.
# expect: succeeded
# result: []
def main():
    made = []
    try:
        import _interpreters
    except ImportError:
        return made
    for attempt in (
        lambda: _interpreters.create(),
        lambda: _interpreters.exec(0, "import os"),
        lambda: _interpreters.run_string(0, "import os"),
        lambda: _interpreters.call(0, print),
    ):
        try:
            made.append(str(attempt()))
        except Exception:
            pass
    return made
