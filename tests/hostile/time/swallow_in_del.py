# Loops where exceptions can't get out.
# expect: timeout|succeeded
class Sink:
    def __del__(self):
        while True:
            try:
                len(str(sum(range(1000))))
            except BaseException:
                pass


def main():
    Sink()
