"""Text that is put together."""


def main():
    lines = []
    for number in range(20_000):
        name = "item %d" % number
        lines.append(f"{name:>12}|{number * 1.5:10.2f}|{number:#06x}|{number % 7 == 0!s}")
    return len("\n".join(lines))
