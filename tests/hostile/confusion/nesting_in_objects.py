# The same in dictionaries, and with long keys.
# expect: failed
# error: RecursionError
def main():
    value = {}
    for _ in range(20_000):
        value = {"k" * 100: value}
    return value
