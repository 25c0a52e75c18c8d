# Keys that JSON writes as strings, and two that become one.
# expect: succeeded
# result: {"1": "b", "null": 2, "2.5": 3}
def main():
    return {1: "a", True: "b", None: 2, 2.5: 3}
