# Waits for what nobody will do.
# expect: timeout|failed|succeeded
# error: TimeoutError|RuntimeError
# profile: asleep
import threading


def main():
    threading.Event().wait()
