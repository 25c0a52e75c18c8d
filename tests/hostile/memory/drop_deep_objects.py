# The same of objects.
# expect: succeeded
class Node:
    def __init__(self, next):
        self.next = next


def main():
    node = None
    for _ in range(30_000):
        node = Node(node)
    node = None
