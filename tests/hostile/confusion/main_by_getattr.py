# A module that makes up functions by `__getattr__`.
# expect: invalid
def __getattr__(name):
    return lambda: "made up"
