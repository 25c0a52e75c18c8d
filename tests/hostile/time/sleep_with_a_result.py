# Sleeps while its result is looked up.
# expect: timeout
# profile: asleep
import sys
import time


class Module:
    @property
    def main(self):
        time.sleep(3600)


sys.modules[__name__] = Module()
