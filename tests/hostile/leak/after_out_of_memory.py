# The same of one that had filled its memory.
# plant: out-of-memory
# expect: succeeded
# result: 0
import builtins


def plant():
    builtins.canary = []
    while True:
        builtins.canary.append("tweet-of-the-canary" * 1000)


def look():
    if hasattr(builtins, "canary"):
        return len(builtins.canary)
    return sum(bytes(bytearray(10**6)).count(b"tweet") for _ in range(5))
