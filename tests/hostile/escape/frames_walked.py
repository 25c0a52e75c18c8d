# Every frame down to the first: whose code is it, and what do its globals hold?
# expect: succeeded
# result: []
import sys


def main():
    frame, secrets = sys._getframe(), []
    while frame:
        for name, value in {**frame.f_globals, **frame.f_locals}.items():
            if "amqp" in str(value)[:10_000] or "/home/" in str(value)[:10_000]:
                secrets.append(name)
        frame = frame.f_back
    return [name for name in secrets if name not in ("secrets", "value")]
