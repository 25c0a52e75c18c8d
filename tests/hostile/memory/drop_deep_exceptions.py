# The same of exceptions, each the context of the next.
# expect: succeeded
def main():
    error = None
    for n in range(50_000):
        outer = ValueError(n)
        outer.__context__ = error
        error = outer
    error = outer = None
