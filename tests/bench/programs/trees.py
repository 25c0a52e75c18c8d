"""Tuples: trees that are made, walked and forgotten."""


def tree(depth):
    return (tree(depth - 1), tree(depth - 1)) if depth else (None, None)


def count(node):
    left, right = node
    return 1 + count(left) + count(right) if left else 1


def main():
    return sum(count(tree(10)) for _ in range(90))
