# A deep structure that is printed.
# expect: failed
# error: RecursionError
def main():
    deep = ()
    for _ in range(200_000):
        deep = (deep,)
    print(deep)
