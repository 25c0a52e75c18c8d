# As if somebody had pressed Ctrl-C.
# expect: failed
# error: KeyboardInterrupt
def main():
    raise KeyboardInterrupt
