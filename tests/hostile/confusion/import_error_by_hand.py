# Suggestions are looked for where there is nothing to suggest.
# expect: failed
# profile: patient
class Weird:
    def __dir__(self):
        return ["x" * 10_000] * 10_000


def main():
    raise AttributeError("y" * 10_000, name="y" * 10_000, obj=Weird())
