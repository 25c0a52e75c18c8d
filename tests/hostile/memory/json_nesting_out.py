# Nesting for the writer of JSON.
# expect: failed
# error: RecursionError
import json


def main():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    return json.dumps(deep)
