# The same with finalisers on the way down.
# expect: succeeded
class Node:
    def __init__(self, next):
        self.next = next

    def __del__(self):
        self.next = None


def main():
    node = None
    for _ in range(3_000):
        node = Node(node)
    node = None
