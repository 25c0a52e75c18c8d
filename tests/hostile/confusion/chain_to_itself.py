# An exception that is its own cause.
# expect: failed
# error: ValueError
def main():
    error = ValueError("self")
    raise error from error
