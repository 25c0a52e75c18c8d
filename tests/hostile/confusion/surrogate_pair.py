# Two halves, which JSON would make one.
# expect: failed
# error: ValueError
def main():
    return "\ud83d" + "\ude00"
