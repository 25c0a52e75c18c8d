# A second interpreter in the first, without what was done to the first.
# expect: succeeded
# result: []
def main():
    found = []
    try:
        import _interpreters
    except ImportError:
        return found
    code = """if 1:
        import os, sys
        for attempt in (lambda: open("/etc/passwd"), lambda: os.listdir("/"), lambda: os.system("id")):
            try:
                attempt()
                print("reached")
            except (OSError, AttributeError):
                pass
    """
    for _ in range(10):
        try:
            one = _interpreters.create()
            _interpreters.exec(one, code)
            _interpreters.run_string(one, code)
        except Exception:
            pass
    return found
