# A result that is still to be made.
# expect: failed
# error: TypeError
def main():
    yield 1
