# All at once, and then a result: the output is cut, the result is not.
# expect: succeeded
# result: 1
def main():
    print("x" * 4_000_000)
    return 1
