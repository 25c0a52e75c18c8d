# Sleeps when it is thrown away.
# expect: timeout|succeeded
# profile: asleep
import time


class Late:
    def __del__(self):
        time.sleep(3600)


def main():
    Late()
