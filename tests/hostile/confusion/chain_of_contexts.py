# Exceptions while handling exceptions, two thousand times.
# expect: failed
# error: ValueError
def main():
    error = None
    for n in range(2_000):
        try:
            try:
                raise error or KeyError
            finally:
                raise ValueError(n)
        except ValueError as caught:
            error = caught
    raise error
