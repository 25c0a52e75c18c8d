# Sets the clock.
# expect: failed
# error: AttributeError
import time


def main():
    time.clock_settime(time.CLOCK_REALTIME, 0)
