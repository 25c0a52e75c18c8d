# Functions of functions.
# expect: succeeded
import functools


class Wrapped(functools.partial):
    pass


def main():
    function = int
    for n in range(100_000):
        function = Wrapped(function)
        function.level = n
    return function()
