# Threads that ask for large stacks, and start threads.
# expect: succeeded
import threading


def breed():
    thread = threading.Thread(target=breed)
    thread.start()
    thread.join()


def main():
    try:
        threading.stack_size(2**31 - 4096)
    except (ValueError, OverflowError, RuntimeError):
        pass
    breed()
