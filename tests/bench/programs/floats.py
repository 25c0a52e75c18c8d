"""Floating point: how many of some points belong to the set of Mandelbrot."""


def main():
    inside = 0
    for row in range(80):
        y = row / 40 - 1
        for column in range(90):
            x = column / 30 - 2
            re = im = 0.0
            for _ in range(60):
                re, im = re * re - im * im + x, 2 * re * im + y
                if re * re + im * im > 4:
                    break
            else:
                inside += 1
    return inside
