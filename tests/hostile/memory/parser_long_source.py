# A million lines.
# expect: out-of-memory
# profile: patient
def main():
    exec("a = 1 + 2 * [3]\n" * 300_000)
