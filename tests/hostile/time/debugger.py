# Waits for somebody to type.
# expect: failed
def main():
    breakpoint()
