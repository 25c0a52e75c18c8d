# A structure that is too deep to write down.
# expect: failed
# error: RecursionError
import pickle


def main():
    deep = []
    for _ in range(50_000):
        deep = [deep]
    return len(pickle.dumps(deep))
