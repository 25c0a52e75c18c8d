# The same of objects.
# expect: succeeded|failed|out-of-memory
# error: RecursionError|MemoryError
class Node:
    def __init__(self, next):
        self.next = next


def main():
    node = None
    for _ in range(100_000):
        node = Node(node)
    node = None
