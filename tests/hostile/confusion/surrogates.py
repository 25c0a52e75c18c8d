# Half of a character, alone.
# expect: failed
# error: ValueError
# says: surrogate
def main():
    return "\ud800"
