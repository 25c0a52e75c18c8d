"""Text character by character: formulas are split, parsed by recursion, and computed."""

OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else 0,
}


def tokens(text):
    position = 0
    while position < len(text):
        here = text[position]
        if here.isspace():
            position += 1
        elif here.isdigit():
            start = position
            while position < len(text) and (text[position].isdigit() or text[position] == "."):
                position += 1
            number = text[start:position]
            yield ("number", float(number) if "." in number else int(number))
        elif here.isalpha():
            start = position
            while position < len(text) and text[position].isalnum():
                position += 1
            yield ("name", text[start:position])
        else:
            position += 1
            yield ("sign", here)


class Parser:
    def __init__(self, text):
        self.tokens = list(tokens(text))
        self.position = 0

    def peek(self):
        return self.tokens[self.position] if self.position < len(self.tokens) else (None, None)

    def next(self):
        token = self.peek()
        self.position += 1
        return token

    def level(self, signs, below):
        left = below()
        while self.peek()[1] in signs:
            _, sign = self.next()
            left = (sign, left, below())
        return left

    def sum(self):
        return self.level(("+", "-"), self.product)

    def product(self):
        return self.level(("*", "/"), self.atom)

    def atom(self):
        kind, value = self.next()
        if kind == "number" or kind == "name":
            return value
        if value == "(":
            inner = self.sum()
            assert self.next() == ("sign", ")")
            return inner
        if value == "-":
            return ("-", 0, self.atom())
        raise ValueError(f"unexpected {value!r}")


def compute(tree, names):
    if isinstance(tree, tuple):
        sign, left, right = tree
        return OPERATORS[sign](compute(left, names), compute(right, names))
    return names[tree] if isinstance(tree, str) else tree


def main():
    texts = ["3 + 4 * (x - 2) / 7", "(a1 + b2) * (a1 - b2) - -x", "1.5 * x * x + 2.25 * x - 12"]
    total = 0
    for turn in range(150):
        names = {"x": turn, "a1": turn % 9, "b2": 0.5}
        for text in texts:
            total += compute(Parser(text).sum(), names)
    trees = [Parser(text).sum() for text in texts]
    for turn in range(1_200):
        total += compute(trees[turn % 3], {"x": turn, "a1": 2, "b2": turn})
    try:
        Parser("3 + )").sum()
    except ValueError as error:
        return [round(total, 6), str(error)]
