# Different keys with one spelling: JSON with a name twice.
# expect: succeeded
# result: {"1": "two"}
def main():
    return {1: "one", "1": "two"}
