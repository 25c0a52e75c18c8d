# A key that JSON has no word for.
# expect: failed
# error: TypeError
def main():
    return {(1, 2): 3}
