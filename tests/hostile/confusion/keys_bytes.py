# Bytes are no key.
# expect: failed
# error: TypeError
def main():
    return {"a": {b"x": 1}}
