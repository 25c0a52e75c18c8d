# Attributes that are looked up by looking them up.
# expect: failed
# error: RecursionError
class Mirror:
    def __getattr__(self, name):
        return getattr(self, name + "_")


def main():
    return Mirror().x
