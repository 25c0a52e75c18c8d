# Sleeps while it is described.
# expect: timeout
# profile: asleep
import time


class Late(Exception):
    def __str__(self):
        time.sleep(3600)
        return "late"


def main():
    raise Late
