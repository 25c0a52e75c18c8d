# Arguments that don't fit.
# expect: failed
# error: TypeError
def main(a, /, *, b):
    return a
