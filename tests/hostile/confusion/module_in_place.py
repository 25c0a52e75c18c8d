# An object in the module's place.
# expect: succeeded
# result: "from the object"
import sys


class Module:
    def main(self):
        return "from the object"


sys.modules[__name__] = Module()
