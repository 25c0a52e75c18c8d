# The pickle that everybody knows.
# expect: failed
# error: ModuleNotFoundError|AttributeError|ImportError|OSError|_pickle.UnpicklingError|pickle.UnpicklingError
import pickle


def main():
    return pickle.loads(b"cposix\nsystem\n(S'id'\ntR.")
