# Time spent in host calls: the clock.
# expect: timeout
import time


def main():
    now = time.monotonic_ns
    while True:
        now(), now(), now(), now(), now(), now(), now(), now()
