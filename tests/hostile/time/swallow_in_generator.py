# A generator that does not want to be closed.
# expect: timeout
def stubborn():
    while True:
        try:
            yield
        except BaseException:
            pass


def main():
    stubborn_one = stubborn()
    next(stubborn_one)
    while True:
        try:
            stubborn_one.close()
        except RuntimeError:
            pass
