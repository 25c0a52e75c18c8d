# A key that is not equal to itself.
# expect: failed
# error: ValueError
def main():
    return {float("nan"): 1, float("nan"): 2}
