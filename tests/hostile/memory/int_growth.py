# One number, squared. More digits than memory, or than time.
# expect: out-of-memory|timeout
def main():
    n = 3
    while True:
        n *= n
