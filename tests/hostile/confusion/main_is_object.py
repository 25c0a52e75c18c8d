# An object that can be called, and does not want to be.
# expect: failed
# error: script.Refused
class Refused(Exception):
    pass


class Callable:
    def __call__(self):
        raise Refused


main = Callable()
