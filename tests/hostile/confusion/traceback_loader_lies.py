# A loader that is asked for source, and never answers.
# expect: timeout
class Loader:
    def get_source(self, name):
        while True:
            pass


__loader__ = Loader()
__spec__.loader = Loader()


def main():
    exec(
        compile("raise ValueError(1)", "elsewhere.py", "exec"),
        {"__name__": "elsewhere", "__loader__": Loader(), "ValueError": ValueError},
    )
