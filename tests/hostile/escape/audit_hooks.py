# Hooks that are asked, and told, about everything.
# expect: succeeded
import sys


def main():
    def hook(event, arguments):
        raise RuntimeError(event)

    sys.addaudithook(hook)
    try:
        exec("1")
        compile("1", "x", "eval")
    except RuntimeError:
        pass
