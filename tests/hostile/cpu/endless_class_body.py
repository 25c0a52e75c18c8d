# A class body, a decorator and a default are code, too.
# expect: timeout
def forever(cls):
    while True:
        cls.count += 1


@forever
class Counter:
    count = 0


def main():
    return Counter.count
