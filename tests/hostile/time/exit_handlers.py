# What is to run at exit is not run, and if it is, it has an end.
# expect: succeeded
import atexit
import time


@atexit.register
def forever():
    while True:
        time.sleep(1)


def main():
    return 1
