# The module's names, removed while it is loaded.
# expect: invalid
def main():
    return 1


globals().clear()
