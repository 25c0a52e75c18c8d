# Views of memory that is given back, resized or looked at as something else.
# expect: succeeded
# result: null
import array
import struct


def main():
    data = bytearray(b"x" * 64)
    view = memoryview(data)
    for attempt in (
        lambda: data.extend(b"x" * 10**6),
        lambda: data.clear(),
        lambda: data.__init__(10**6),
        lambda: view.cast("Q", [2**31, 2**31]),
        lambda: view.cast("B", [0]),
        lambda: view.cast("P"),
        lambda: view[2**31 :: -(2**31)].tobytes(),
        lambda: view.cast("d")[9],
        lambda: struct.unpack_from("Q", data, -(2**31)),
        lambda: struct.pack_into("Q", data, 2**31 - 4, 1),
        lambda: struct.unpack_from("Q", data, 60),
        lambda: view.release() or view[0],
        lambda: view.tobytes(),
        lambda: array.array("u", "x" * 9).frombytes(b"\xff" * 7),
        lambda: array.array("w").frombytes(b"\xff" * 8),
        lambda: array.array("w", "x").byteswap() or 1,
    ):
        try:
            attempt()
        except (
            BufferError,
            ValueError,
            TypeError,
            IndexError,
            struct.error,
            OverflowError,
            AttributeError,
        ):
            pass
        except NotImplementedError:
            pass
