# Views that are compared item by item.
# expect: timeout
def main():
    a, b = memoryview(bytearray(2**21)), memoryview(bytearray(2**21)).cast("h")
    while a[::2] == b[:]:
        pass
    while True:
        bytes(a[::3])
