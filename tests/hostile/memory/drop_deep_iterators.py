# The same of native iterators.
# expect: succeeded
# profile: patient
import itertools


def main():
    for wrap in (
        iter,
        reversed,
        enumerate,
        zip,
        itertools.chain,
        itertools.cycle,
        lambda i: map(abs, i),
    ):
        items = [1]
        for _ in range(20_000):
            items = wrap(items) if wrap is not reversed else reversed([items])
        items = None
