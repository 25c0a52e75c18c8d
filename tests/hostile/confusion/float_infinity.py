# More than any number.
# expect: failed
# error: ValueError
def main():
    return -1e308 * 10
