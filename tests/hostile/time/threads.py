# A thread that does not end.
# expect: timeout
import threading


def forever():
    while True:
        pass


def main():
    thread = threading.Thread(target=forever, daemon=True)
    thread.start()
    return 1
