# Strings that are all different.
# expect: out-of-memory
# profile: patient
def main():
    seen = set()
    while True:
        seen.add(f"entry number {len(seen):040}")
