"""Generators and sets: ways to place queens that do not threaten each other."""


def place(size, row=0, columns=(), sums=frozenset(), differences=frozenset()):
    if row == size:
        yield columns
        return
    for column in range(size):
        free = column not in columns and row + column not in sums
        if free and row - column not in differences:
            yield from place(
                size,
                row + 1,
                columns + (column,),
                sums | {row + column},
                differences | {row - column},
            )


def main():
    return sum(1 for _ in place(10))
