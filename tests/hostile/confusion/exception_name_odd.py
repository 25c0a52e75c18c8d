# Classes of exceptions whose names are no names.
# expect: failed
def main():
    odd = type("\ud800" + "N" * 100_000, (Exception,), {"__module__": "\0" * 100_000})
    raise odd("x")
