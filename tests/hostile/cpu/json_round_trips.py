# The serialiser as a heater.
# expect: timeout
import json


def main():
    value = {str(n): [n, str(n), None, 0.1 * n] for n in range(2000)}
    while True:
        value = json.loads(json.dumps(value, indent=2, sort_keys=True))
