# Stops all clocks it can reach. The limit has another.
# expect: timeout
# says: wall limit
# profile: asleep
import time

sleep = time.sleep


def main():
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, lambda: 0.0)
        setattr(time, name + "_ns", lambda: 0)
    while time.time() < 1:
        sleep(0.01)
