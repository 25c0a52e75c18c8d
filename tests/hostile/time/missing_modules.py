# Time spent in host calls: modules that are not there.
# expect: timeout
def main():
    n = 0
    while True:
        n += 1
        try:
            __import__(f"missing_{n}")
        except ImportError:
            pass
