# Finalisers that keep what was thrown away.
# expect: out-of-memory
# profile: patient
import gc

kept = []


class Undead:
    def __init__(self):
        self.me, self.body = self, bytes(5000)

    def __del__(self):
        kept.append(self)


def main():
    while True:
        Undead()
        gc.collect(0)
