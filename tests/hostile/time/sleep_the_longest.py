# The longest sleep that there is.
# expect: timeout
# profile: asleep
import time


def main():
    time.sleep(2**63 / 10**9 - 1024)
