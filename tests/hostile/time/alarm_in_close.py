# A generator takes its time when it is thrown away, and lets no exception out.
# expect: succeeded
# result: "told again"
def generator():
    try:
        yield
    finally:
        while True:
            nothing()


def nothing():
    pass


def main():
    try:
        next(generator())
        while True:
            nothing()
    except TimeoutError:
        return "told again"
