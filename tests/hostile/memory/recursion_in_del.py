# Finalisers that make what they finalise.
# expect: succeeded|failed|timeout
# error: RecursionError|TimeoutError
class Phoenix:
    def __del__(self):
        Phoenix()


def main():
    Phoenix()
