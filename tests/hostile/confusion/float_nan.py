# Not a number.
# expect: failed
# error: ValueError
def main():
    return [0.0, {"x": float("nan")}]
