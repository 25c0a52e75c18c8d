# Native loops over bytes.
# expect: timeout
def main():
    data, table = bytes(range(256)) * 20_000, bytes(reversed(range(256)))
    while True:
        data = data.translate(table)
