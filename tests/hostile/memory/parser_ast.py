# A tree made by hand, deeper than any source, to be compiled.
# expect: failed
# error: RecursionError
# profile: patient
import ast


def main():
    tree = ast.Constant(1)
    for _ in range(20_000):
        tree = ast.UnaryOp(ast.USub(), tree)
    return eval(compile(ast.fix_missing_locations(ast.Expression(tree)), "made", "eval"))
