# A group in a group, very deep.
# expect: timeout|out-of-memory|failed
# error: ExceptionGroup
def main():
    group = ValueError(1)
    for _ in range(20_000):
        group = ExceptionGroup("g", [group])
    raise group
