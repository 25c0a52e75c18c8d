# A thread that joins itself, and an import that waits for itself.
# expect: failed
# error: RuntimeError
import threading


def main():
    threading.current_thread().join()
