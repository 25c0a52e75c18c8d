# Busy waiting on sleeps of no length.
# expect: timeout
# profile: asleep
import time


def main():
    while True:
        time.sleep(0)
