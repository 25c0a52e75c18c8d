# Threads by the hundred.
# expect: succeeded
import _thread
import threading


def main():
    for _ in range(500):
        threading.Thread(target=int).start()
        _thread.start_new_thread(int, ())
