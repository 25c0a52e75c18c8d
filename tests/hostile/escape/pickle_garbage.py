# Pickles of random opcodes.
# expect: succeeded
# result: null
import pickle
import random


def main():
    random.seed(1)
    opcodes = [c for c in range(256)]
    for _ in range(300):
        data = bytes(
            random.choices(
                b"()0123456789cdeijlopqstuNIJKLMRSTUVX[]\x80\x81\x85\x8c\x93\x94\x95.", k=40
            )
        )
        for load in (pickle.loads, pickle._loads):
            try:
                load(b"\x80\x04" + data + b".")
            except Exception:
                pass
