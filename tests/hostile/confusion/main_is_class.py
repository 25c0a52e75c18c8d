# A class, called.
# expect: failed
# error: TypeError
class main:
    def __init__(self):
        pass
