# More arguments than there are parameters, and one twice.
# expect: failed
# error: TypeError
# args: [1, 2, 3]
# kwargs: {"a": 4, "é": 5, "": 6, "a b": 7}
def main(a, *rest):
    return a
