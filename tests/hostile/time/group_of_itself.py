# After the alarm, a group that says it holds itself.
# expect: timeout
class Endless(ExceptionGroup):
    @property
    def exceptions(self):
        return (self,)


def nothing():
    pass


def main():
    try:
        while True:
            nothing()
    except TimeoutError:
        raise Endless("mine", [ValueError()])
