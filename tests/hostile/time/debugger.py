# Waits for somebody to type.
# expect: failed
# profile: asleep
def main():
    breakpoint()
