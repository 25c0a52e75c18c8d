# A thread takes its time, and nobody sees how it ends.
# expect: succeeded
# result: "told again"
import threading


def loop():
    while True:
        nothing()


def nothing():
    pass


def main():
    try:
        threading.Thread(target=loop).start()
        loop()
    except TimeoutError:
        return "told again"
