# The pickle that everybody knows.
# expect: failed
# error: AttributeError
import pickle


def main():
    return pickle.loads(b"cposix\nsystem\n(S'id'\ntR.")
