# A lock that is taken twice, in every way.
# expect: timeout|failed|succeeded
# error: TimeoutError|RuntimeError
# profile: asleep
import threading


def main():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
