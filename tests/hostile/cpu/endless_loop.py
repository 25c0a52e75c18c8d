# Bytecode that never ends and calls nothing.
# expect: timeout
# says: cpu limit
def main():
    while True:
        pass
