# Blocks in blocks.
# expect: failed
# error: RecursionError
# profile: patient
def main():
    exec("".join(" " * n + "if 1:\n" for n in range(1000)) + " " * 1000 + "pass")
