# A hoard of objects without anything in them.
# expect: out-of-memory
# profile: patient
def main():
    hoard = []
    while True:
        hoard.append(object())
