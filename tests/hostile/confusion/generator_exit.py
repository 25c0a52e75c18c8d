# An exception for generators, outside of one.
# expect: failed
# error: GeneratorExit
def main():
    raise GeneratorExit("main")
