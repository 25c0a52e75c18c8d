# The same of empty lists: much walking for few bytes.
# expect: failed
# error: ValueError
def main():
    value = ()
    for _ in range(60):
        value = (value, value)
    return value
