# An exception that looks like what the host says at a limit.
# expect: failed
# error: TimeoutError
def main():
    raise TimeoutError("cpu limit of 300ms reached")
