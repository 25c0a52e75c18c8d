# A heap that is looked through for garbage without a pause.
# expect: timeout
import gc


def main():
    kept = [[n] for n in range(50_000)]
    while kept:
        gc.collect()
