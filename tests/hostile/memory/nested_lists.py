# Each list holds the one before.
# expect: out-of-memory
# profile: patient
def main():
    hoard = []
    while True:
        hoard = [hoard, hoard]
