# The same at a queue.
# expect: timeout|failed
# error: TimeoutError|RuntimeError|_queue.Empty|queue.Empty
# profile: asleep
import queue


def main():
    queue.Queue().get()
