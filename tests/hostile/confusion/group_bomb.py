# A group of groups of the same groups.
# expect: timeout|out-of-memory|failed
# error: ExceptionGroup
def main():
    group = ExceptionGroup("g", [ValueError(1)])
    for _ in range(40):
        group = ExceptionGroup("g", [group] * 10)
    raise group
