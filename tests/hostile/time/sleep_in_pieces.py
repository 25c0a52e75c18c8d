# Many short sleeps.
# expect: timeout
# profile: asleep
import time


def main():
    while True:
        time.sleep(0.001)
