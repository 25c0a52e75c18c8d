# A MemoryError of the script's own making is its failure, not the limit.
# expect: failed
# error: MemoryError
def main():
    raise MemoryError("mine")
