# The state of the generator behind `random`: neither set by others nor ever the same.
# expect: succeeded
# distinct: true
import random


def plant():
    random.seed("canary")
    random.setstate(random.Random("canary").getstate())


def look():
    first = random.random()
    if first == random.Random("canary").random():
        return "seeded by another"
    return [first, random.getrandbits(64), random.Random().random()]
