# The module's dictionary, and what is found in the place of its function.
# expect: succeeded
import sys


def main():
    return 1


class Meta(type(sys)):
    def __getattribute__(self, name):
        raise KeyError(name)


sys.modules[__name__].__class__ = Meta
