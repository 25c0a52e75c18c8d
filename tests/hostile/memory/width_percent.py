# A width that is given by the script: `%*d`.
# expect: out-of-memory|failed
# error: MemoryError
def main():
    return len("%*d" % (2**31 - 1, 1))
