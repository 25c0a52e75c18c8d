# A group whose members are none.
# expect: failed
class Group(ExceptionGroup):
    exceptions = property(lambda self: 5)


def main():
    raise Group("g", [ValueError(1)])
