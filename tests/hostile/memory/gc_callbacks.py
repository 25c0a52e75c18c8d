# Collections that make garbage, and collect.
# expect: timeout
import gc


def again(phase, info):
    cycle = []
    cycle.append(cycle)
    gc.collect()


def main():
    gc.set_threshold(1, 1, 1)
    gc.callbacks.append(again)
    gc.collect()
