# Deep structures that are compared.
# expect: failed
# error: RecursionError
def deep():
    value = []
    for _ in range(50_000):
        value = [value]
    return value


def main():
    return deep() == deep()
