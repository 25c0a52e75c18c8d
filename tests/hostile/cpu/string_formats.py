# Widths that are given by the script.
# expect: timeout
def main():
    while True:
        for width in (10**6, 2 * 10**6):
            len("%*d" % (width, 1) + f"{1:>{width}}" + format(1.5, f"0{width}.3f"))
