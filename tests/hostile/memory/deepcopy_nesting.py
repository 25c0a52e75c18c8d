# A deep structure that is copied.
# expect: failed
# error: RecursionError
import copy


def main():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    copy.deepcopy(deep)
