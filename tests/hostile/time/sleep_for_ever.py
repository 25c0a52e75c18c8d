# Sleeps, and does nothing else.
# expect: timeout
# says: wall limit
# profile: asleep
import time


def main():
    time.sleep(10**6)
