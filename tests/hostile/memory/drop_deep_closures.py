# The same of functions in cells.
# expect: succeeded
def wrap(inner):
    return lambda: inner


def main():
    function = None
    for _ in range(30_000):
        function = wrap(function)
    function = None
