# A value whose class has a name that is no text.
# expect: failed
# error: UnicodeEncodeError
def main():
    return type("\ud800", (), {})()
