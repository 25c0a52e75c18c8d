# Frames that wait for ever.
# expect: out-of-memory
# profile: patient
def wait():
    yield [0] * 100


def main():
    kept = []
    while True:
        kept.append(wait())
        next(kept[-1])
