"""Lists of lists of floats, and functions of `math`."""

import math


def multiply(left, right):
    columns = list(zip(*right))
    return [[sum(a * b for a, b in zip(row, column)) for column in columns] for row in left]


def solve(rows, values):
    size = len(rows)
    for pivot in range(size):
        for below in range(pivot + 1, size):
            factor = rows[below][pivot] / rows[pivot][pivot]
            for column in range(pivot, size):
                rows[below][column] -= factor * rows[pivot][column]
            values[below] -= factor * values[pivot]
    found = [0.0] * size
    for row in reversed(range(size)):
        rest = sum(rows[row][column] * found[column] for column in range(row + 1, size))
        found[row] = (values[row] - rest) / rows[row][row]
    return found


def integral(function, low, high, steps):
    width = (high - low) / steps
    total = 0.5 * (function(low) + function(high))
    for step in range(1, steps):
        total += function(low + step * width)
    return total * width


def main():
    size = 26
    first = [[math.sin(row + column) for column in range(size)] for row in range(size)]
    second = [[1.0 / (row + column + 1) for column in range(size)] for row in range(size)]
    product = multiply(first, second)
    for row in range(size):
        product[row][row] += 20.0
    found = solve(product, [float(row) for row in range(size)])
    area = integral(lambda x: math.exp(-x * x) * abs(x - 1) ** 0.5, -3.0, 3.0, 9_000)
    return [round(sum(found), 6), round(area, 6), round(math.hypot(*found[:3]), 6)]
