# Half characters in what is printed, and in the exception.
# expect: failed
# error: ValueError
def main():
    print("\ud800 in print")
    raise ValueError("\udc80 in exception")
