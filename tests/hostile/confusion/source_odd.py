# Source with every kind of line end and blank there is, and a name in two spellings.
# expect: succeeded
# result: [1, 1]
def main():
    ﬁ = 1
    exec("x = 1\r\ny = 2\rz = 3\f\n\x0cw = 4")
    return [fi, ﬁ]
