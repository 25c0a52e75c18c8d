# Never gets as far as a function that could be called.
# expect: timeout
# says: cpu limit
while True:
    pass


def main():
    return 1
