# Who swallows a MemoryError and gives the hoard up may succeed.
# expect: succeeded
# result: "alive"
# profile: patient
def main():
    try:
        hoard = []
        while True:
            hoard.append("x" * 1_000_000)
    except MemoryError:
        hoard.clear()
        return "alive"
