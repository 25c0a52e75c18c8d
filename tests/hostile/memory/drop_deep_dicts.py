# The same of dictionaries.
# expect: succeeded
def main():
    deep = {}
    for _ in range(30_000):
        deep = {"a": deep}
    deep = None
