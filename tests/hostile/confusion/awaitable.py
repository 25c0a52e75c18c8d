# An object that could be awaited.
# expect: failed
# error: TypeError
class Awaitable:
    def __await__(self):
        yield


def main():
    return Awaitable()
