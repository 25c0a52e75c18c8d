# Two lists that hold each other.
# expect: failed
# error: RecursionError
def main():
    a, b = [], []
    a.append(b)
    b.append(a)
    return a == b
