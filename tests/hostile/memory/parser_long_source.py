# A million lines.
# expect: out-of-memory|timeout|succeeded
# profile: patient
def main():
    exec("a = 1 + 2 * [3]\n" * 300_000)
