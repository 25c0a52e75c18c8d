# A module in `sys.modules`, and a real one replaced.
# expect: succeeded
# result: []
import sys
import types


def plant():
    sys.modules["canary"] = sys.modules["textwrap"] = types.ModuleType("canary")


def look():
    import textwrap

    try:
        import canary
    except ImportError:
        canary = None
    return [m for m in sys.modules.values() if "canary" in repr(m)] + [m for m in (canary,) if m]
