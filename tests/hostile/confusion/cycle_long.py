# A circle of a thousand.
# expect: failed
# error: RecursionError
def main():
    first = value = {}
    for n in range(400):
        value["next"] = value = [{}] if n % 2 else {}
        value = value[0] if isinstance(value, list) else value
    value["next"] = first
    return first
