# Containers that change while native code walks them.
# expect: succeeded
# result: null
import functools


class Evil:
    def __init__(self, act):
        self.act = act

    def __eq__(self, other):
        self.act()
        return False

    def __hash__(self):
        self.act()
        return 1

    def __lt__(self, other):
        self.act()
        return True

    def __index__(self):
        self.act()
        return 10**6

    def __iter__(self):
        self.act()
        return iter([1])

    def __buffer__(self, flags):
        self.act()
        return memoryview(b"x")


def main():
    items, table, data = [0] * 100, dict.fromkeys(range(100)), bytearray(100)

    def clear():
        items.clear(), table.clear()
        try:
            data.clear()
        except BufferError:
            pass

    evil = Evil(clear)
    for attempt in (
        lambda: items.index(evil),
        lambda: items.remove(evil),
        lambda: items.count(evil),
        lambda: items.sort(key=lambda x: clear() or x),
        lambda: items.__setitem__(slice(0, evil), evil),
        lambda: items.insert(evil, 1),
        lambda: items.extend(evil),
        lambda: items == [evil] * 100,
        lambda: max(items, key=lambda x: clear() or 1),
        lambda: functools.reduce(lambda a, b: clear(), items),
        lambda: table.get(evil),
        lambda: table.update({evil: 1}),
        lambda: [clear() for _ in table],
        lambda: table == {n: evil for n in range(100)},
        lambda: data.__setitem__(slice(0, evil), b"x"),
        lambda: data.join([b"x", data, evil]),
        lambda: data.find(evil),
        lambda: data.__iadd__(evil),
        lambda: bytes([evil] * 3),
        lambda: int.from_bytes(evil, "big"),
        lambda: "".join(map(lambda x: clear() or "x", items)),
    ):
        items[:], data[:] = [0] * 100, bytes(100)
        table.update(dict.fromkeys(range(100)))
        try:
            attempt()
        except (
            ValueError,
            TypeError,
            RuntimeError,
            IndexError,
            BufferError,
            KeyError,
            OverflowError,
        ):
            pass
