# A hoard of large strings: Python is told.
# expect: out-of-memory
# profile: patient
def main():
    hoard = []
    while True:
        hoard.append("x" * 1_000_000)
