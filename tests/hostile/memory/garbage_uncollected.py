# Cycles, and a collector that was switched off.
# expect: out-of-memory
# profile: patient
import gc


def main():
    gc.disable()
    while True:
        cycle = [bytes(1000)]
        cycle.append(cycle)
