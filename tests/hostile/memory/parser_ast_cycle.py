# A tree that holds itself.
# expect: failed
# error: RecursionError
import ast


def main():
    place = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
    tree = ast.UnaryOp(ast.USub(), None, **place)
    tree.operand = tree
    return eval(compile(ast.Expression(tree), "made", "eval"))
