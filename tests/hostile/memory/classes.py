# Classes without an end.
# expect: out-of-memory
# profile: patient
def main():
    kept = []
    while True:
        kept.append(type("C", (dict,), {"__slots__": tuple(f"s{n}" for n in range(50))}))
