# The same, to be written.
# expect: failed
# error: ValueError
import marshal


def main():
    deep = ()
    for _ in range(100_000):
        deep = (deep,)
    return len(marshal.dumps(deep))
