# A value whose class has a name that fills a page.
# expect: failed
# error: TypeError
def main():
    return type("N" * 1_000_000, (), {})()
