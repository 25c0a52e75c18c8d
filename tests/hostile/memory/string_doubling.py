# One string, doubled.
# expect: out-of-memory
def main():
    text = "roh"
    while True:
        text += text
