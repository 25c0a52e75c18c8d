# A cheap line that moves a lot of memory.
# expect: timeout
def main():
    while True:
        len("ab" * 4_000_000)
