# Lengths of time that are none.
# expect: succeeded
# result: []
import time


def main():
    slept = []
    for seconds in (-1, float("nan"), float("inf"), 1e308, 2**200, -(2**200), "1", None):
        try:
            time.sleep(seconds)
            slept.append(str(seconds))
        except (ValueError, OverflowError, TypeError):
            pass
    return slept
