"""Integers of many digits: those of pi."""


def main():
    # Gosper's series, as a spigot.
    q, r, t, i = 1, 180, 60, 2
    out = []
    while len(out) < 1_500:
        u = 3 * (3 * i + 1) * (3 * i + 2)
        y = (q * (27 * i - 12) + 5 * r) // (5 * t)
        out.append(y)
        q, r, t = 10 * q * i * (2 * i - 1), 10 * u * (q * (5 * i - 2) + r - y * t), t * u
        i += 1
    return "".join(str(digit) for digit in out[-20:])
