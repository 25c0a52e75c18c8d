# Code made at run time is interrupted like any other.
# expect: timeout
def main():
    exec(compile("n = 0\nwhile True: n += 1", "made", "exec"), {})
