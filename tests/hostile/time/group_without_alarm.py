# A group of errors of the script's own: no limit was near.
# expect: failed
# error: ExceptionGroup
def main():
    raise ExceptionGroup("mine", [ExceptionGroup("too", [TimeoutError("mine")])])
