# Waits for files: none of them will ever be ready.
# expect: timeout|succeeded
# profile: asleep
import select


def main():
    for _ in range(3):
        try:
            select.select([0, 1, 2], [], [0], 10**6)
        except (OSError, ValueError):
            pass
    return select.select([], [], [], 3600)
