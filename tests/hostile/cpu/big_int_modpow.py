# One operation on numbers that are large, but not too large for the memory.
# expect: timeout
def main():
    return pow(3, 10**6000 + 1, 10**6000 + 7) & 1
