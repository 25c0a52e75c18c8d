# The longest sleep that there is.
# expect: timeout|failed
# error: TimeoutError|OverflowError|ValueError
# profile: asleep
import time


def main():
    time.sleep(2**63 / 10**9 - 1024)
