# A class whose instances are JSON.
# expect: succeeded
# result: 7
class main(int):
    def __new__(cls):
        return super().__new__(cls, 7)
