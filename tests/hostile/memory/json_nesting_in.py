# Nesting for the reader of JSON.
# expect: failed
# error: RecursionError
import json


def main():
    return json.loads("[" * 500_000)
