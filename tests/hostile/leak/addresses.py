# Where objects are tells nothing of others: it is the same for all, or differs at random.
# expect: succeeded
# result: true
import gc


def plant():
    return [id(object()) for _ in range(1000)]


def look():
    # A count that another left behind would be larger.
    return len(gc.get_objects()) < 200_000 and gc.get_count()[2] < 50
