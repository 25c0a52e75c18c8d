# A finaliser that does not end, at the end.
# expect: timeout
class Sticky:
    def __del__(self):
        while True:
            pass


def main():
    sticky = Sticky()
    return 1
