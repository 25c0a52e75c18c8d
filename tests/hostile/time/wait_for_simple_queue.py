# The same at a queue in native code.
# expect: timeout|failed
# error: TimeoutError|RuntimeError|_queue.Empty|queue.Empty
# profile: asleep
import queue


def main():
    queue.SimpleQueue().get()
