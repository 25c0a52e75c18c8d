# References to what is being thrown away, followed while it is.
# expect: succeeded
# result: null
import weakref

refs = []


class Node:
    def __del__(self):
        refs.append(weakref.ref(self, lambda ref: refs.append(ref())))
        refs.append(self)


def main():
    proxy = weakref.proxy(Node())
    try:
        proxy.x
    except (ReferenceError, AttributeError):
        pass
    table = weakref.WeakValueDictionary()
    for n in range(100):
        table[n] = Node()
        refs.clear()
    [ref() for ref in refs if isinstance(ref, weakref.ref)]
