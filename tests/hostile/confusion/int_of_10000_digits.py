# A number with more digits than Python likes to print.
# expect: succeeded
def main():
    return 10**10_000
