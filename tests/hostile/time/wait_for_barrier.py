# The same at a barrier for two.
# expect: timeout|failed
# error: TimeoutError|RuntimeError|threading.BrokenBarrierError
# profile: asleep
import threading


def main():
    threading.Barrier(2).wait()
