# A finaliser takes its time, and lets no exception out: the alarm rings again outside.
# expect: succeeded
# result: "told again"
class Sink:
    def __del__(self):
        while True:
            nothing()


def nothing():
    pass


def main():
    try:
        Sink()
        while True:
            nothing()
    except TimeoutError:
        return "told again"
