# An exception with more to say than anyone reads.
# expect: failed
# error: ValueError
# profile: patient
def main():
    error = ValueError("x" * 100_000)
    for n in range(20_000):
        error.add_note(f"{n} " * 20)
    raise error
