# Sets the clock.
# expect: failed
# error: AttributeError
# profile: asleep
import time


def main():
    time.clock_settime(time.CLOCK_REALTIME, 0)
