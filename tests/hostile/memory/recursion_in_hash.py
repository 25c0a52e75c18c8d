# A deep key.
# expect: failed
# error: RecursionError
def main():
    deep = ()
    for _ in range(200_000):
        deep = (deep,)
    return {deep: 1}
