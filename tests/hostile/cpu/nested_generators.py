# Each item passes through hundreds of frames.
# expect: timeout
def through(items):
    yield from items


def main():
    items = iter(int, 1)
    for _ in range(150):
        items = through(items)
    return sum(items)
