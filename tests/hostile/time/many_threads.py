# Threads by the thousand.
# expect: succeeded|failed|timeout|out-of-memory
# error: RuntimeError|RecursionError|TimeoutError|MemoryError
import _thread
import threading


def main():
    for _ in range(5000):
        threading.Thread(target=int).start()
        _thread.start_new_thread(int, ())
