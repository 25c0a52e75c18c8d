# The same with finalisers on the way down.
# expect: succeeded|failed|out-of-memory|timeout
# error: RecursionError|MemoryError|TimeoutError
class Node:
    def __init__(self, next):
        self.next = next

    def __del__(self):
        self.next = None


def main():
    node = None
    for _ in range(100_000):
        node = Node(node)
    node = None
