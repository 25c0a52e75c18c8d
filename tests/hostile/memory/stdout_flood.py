# Output without an end: what is over the limit is dropped.
# expect: timeout
def main():
    while True:
        print("spam " * 1000)
