# Many small replacements in a long text.
# expect: timeout
def main():
    text = "ab" * 500_000
    while True:
        text.replace("a", "c").replace("bc", "d")
