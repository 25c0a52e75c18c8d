# A value whose class has a name that is no text.
# expect: failed
# error: TypeError|UnicodeEncodeError|ValueError
def main():
    return type("\ud800", (), {})()
