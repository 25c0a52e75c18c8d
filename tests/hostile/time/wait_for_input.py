# Input that never comes.
# expect: failed
# error: EOFError
# profile: asleep
def main():
    return input("Password: ")
