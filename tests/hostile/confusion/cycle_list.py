# A list in itself.
# expect: failed
# error: ValueError
def main():
    a = []
    a.append(a)
    return a
