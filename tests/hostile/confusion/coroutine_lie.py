# Something that says it is a coroutine.
# expect: failed
# error: TypeError
import types


class Fake:
    __class__ = types.CoroutineType

    def send(self, value):
        raise StopIteration(1)

    throw = close = __await__ = send


def main():
    return Fake()
