# Compiled patterns made by hand: programs for another virtual machine.
# expect: succeeded|failed|timeout|out-of-memory|crashed
import _sre
import random


def main():
    random.seed(5)
    for _ in range(500):
        program = [
            random.choice((random.randrange(45), random.randrange(2**32))) for _ in range(12)
        ]
        try:
            pattern = _sre.compile("x", 0, program, 2, {"a": 9}, (None, "a", "b"))
            pattern.match("xyz" * 5)
        except (ValueError, TypeError, OverflowError, RuntimeError, AttributeError, IndexError):
            pass
