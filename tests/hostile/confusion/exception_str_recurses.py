# An exception that prints itself by printing itself.
# expect: failed
# error: script.Odd
class Odd(Exception):
    def __str__(self):
        return str(self)


def main():
    raise Odd
