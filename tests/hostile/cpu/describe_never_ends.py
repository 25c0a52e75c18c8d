# The time that it takes to describe an exception is the script's.
# expect: timeout
class Slow(Exception):
    def __str__(self):
        while True:
            pass


def main():
    raise Slow
