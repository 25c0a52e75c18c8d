# A small structure that is large when it is written: a list of lists of the same lists.
# expect: failed
# error: ValueError
# says: bytes of JSON
def main():
    value = ["ha"]
    for _ in range(50):
        value = [value] * 10
    return value
