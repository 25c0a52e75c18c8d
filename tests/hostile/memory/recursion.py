# A function that calls itself.
# expect: failed
# error: RecursionError
def main():
    return main()
