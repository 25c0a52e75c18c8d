# Input that never comes.
# expect: failed
# error: EOFError
def main():
    return input("Password: ")
