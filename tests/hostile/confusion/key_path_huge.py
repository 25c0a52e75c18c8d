# A path of long keys to what can't be JSON.
# expect: failed
# error: TypeError
def main():
    value = {1, 2}
    for n in range(12):
        value = {"kéy" * 20_000: value}
    return value
