# The same of suspended frames.
# expect: succeeded
def hold(inner):
    yield inner


def main():
    held = None
    for _ in range(20_000):
        outer = hold(held)
        next(outer)
        held = outer
    held = outer = None
