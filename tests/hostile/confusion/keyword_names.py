# Names of arguments that are no names.
# expect: succeeded
# result: {"": 1, "a b": 2, "self": 3, "class": 4, "__class__": 5, "\u0000": 6}
# kwargs: {"": 1, "a b": 2, "self": 3, "class": 4, "__class__": 5, "\u0000": 6}
def main(**options):
    return options
