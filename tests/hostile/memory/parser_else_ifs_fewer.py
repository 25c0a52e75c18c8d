# A ladder that the parser climbs and the compiler falls from.
# expect: succeeded
def main():
    exec("if 0: pass\n" + "elif 0: pass\n" * 3_000)
