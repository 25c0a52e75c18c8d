# Coroutines that nobody awaits.
# expect: out-of-memory
# profile: patient
async def wait():
    pass


def main():
    kept = []
    while True:
        kept.append(wait())
