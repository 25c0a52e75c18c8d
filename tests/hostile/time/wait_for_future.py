# The same at a future.
# expect: timeout|failed
# error: TimeoutError|RuntimeError
# profile: asleep
import concurrent.futures


def main():
    concurrent.futures.Future().result()
