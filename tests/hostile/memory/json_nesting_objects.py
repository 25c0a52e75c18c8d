# The same in objects.
# expect: failed
# error: RecursionError
import json


def main():
    return json.loads('{"a":' * 200_000)
