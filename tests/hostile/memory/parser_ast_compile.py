# The same without a walk in Python before: straight into the compiler.
# expect: failed
# error: RecursionError
# profile: patient
import ast


def main():
    place = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
    tree = ast.Constant(1, **place)
    for _ in range(20_000):
        tree = ast.UnaryOp(ast.USub(), tree, **place)
    return eval(compile(ast.Expression(tree), "made", "eval"))
