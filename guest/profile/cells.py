"""Sets and dictionaries of tuples, comprehensions, and a board that is solved."""


def neighbours(cell):
    x, y = cell
    return {(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)} - {cell}


def generation(alive):
    counts = {}
    for cell in alive:
        for other in neighbours(cell):
            counts[other] = counts.get(other, 0) + 1
    return {cell for cell, count in counts.items() if count == 3 or count == 2 and cell in alive}


def solve(board, empty, at=0):
    if at == len(empty):
        return True
    row, column = empty[at]
    top, left = row // 3 * 3, column // 3 * 3
    taken = set(board[row])
    for other in range(9):
        taken.add(board[other][column])
        taken.add(board[top + other // 3][left + other % 3])
    for digit in range(1, 10):
        if digit not in taken:
            board[row][column] = digit
            if solve(board, empty, at + 1):
                return True
            board[row][column] = 0
    return False


SUDOKU = """530070000 600195000 098000060 800060003 400803001
            700020006 060000280 000419005 000080079"""


def main():
    alive = {(0, 1), (1, 2), (2, 0), (2, 1), (2, 2), (10, 10), (10, 11), (10, 12), (11, 12), (9, 11)}
    sizes = []
    for _ in range(60):
        alive = generation(alive)
        sizes.append(len(alive))
    board = [[int(digit) for digit in row] for row in SUDOKU.split()]
    empty = [(row, column) for row in range(9) for column in range(9) if not board[row][column]]
    return [sizes[-1], max(sizes), solve(board, empty), board[0]]
