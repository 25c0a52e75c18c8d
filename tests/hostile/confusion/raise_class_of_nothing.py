# Raises again what was never raised.
# expect: failed
# error: RuntimeError
def main():
    raise
