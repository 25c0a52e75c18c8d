# Finalisers that make what they finalise.
# expect: succeeded
class Phoenix:
    def __del__(self):
        Phoenix()


def main():
    Phoenix()
