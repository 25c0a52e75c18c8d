# Raises what is no exception.
# expect: failed
# error: TypeError
def main():
    raise "a string"
