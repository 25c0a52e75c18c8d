# Who swallows a RecursionError can go on, and is back where it was.
# expect: timeout
def dive():
    try:
        dive()
    except RecursionError:
        dive()


def main():
    while True:
        try:
            dive()
        except RecursionError:
            pass
