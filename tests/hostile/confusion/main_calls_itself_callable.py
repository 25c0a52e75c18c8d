# An object whose class changes once it was looked at.
# expect: failed
# error: TypeError
class Meta(type):
    def __call__(cls, *arguments):
        raise TypeError("no instance for you")


class Thing(metaclass=Meta):
    pass


main = Thing
