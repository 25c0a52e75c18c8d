# Memory full of small objects, then a large one, and small ones that fit into no hole.
# expect: failed
# profile: patient
# To put together what is free is no reason to call the script's own error out-of-memory.


def main():
    for _ in range(3):
        kept = [str(number) for number in range(180_000)]
        kept = None
        kept = bytearray(12 << 20)
        kept = None
        # Holes, each as large as seven floats, and then what fits into none of one.
        kept = [number + 0.5 for number in range(300_000)][::8]
        longer = [str(number) for number in range(190_000)]
        kept = longer = None
    raise MemoryError("a script's own")
