# The same of tuples.
# expect: succeeded
def main():
    deep = ()
    for _ in range(100_000):
        deep = (deep,)
    deep = None
