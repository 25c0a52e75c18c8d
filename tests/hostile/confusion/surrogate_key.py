# The same in a key.
# expect: failed
# error: ValueError
# says: surrogate
def main():
    return {"\udfff": 1}
