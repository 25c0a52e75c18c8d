# A comprehension that keeps nothing.
# expect: timeout
def main():
    return [n for n in iter(int, 1) if n]
