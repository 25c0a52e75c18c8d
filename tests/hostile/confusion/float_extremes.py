# The least and the largest there are, and nothing below zero.
# expect: succeeded
# result: [5e-324, 1.7976931348623157e308, -0.0]
def main():
    return [5e-324, 1.7976931348623157e308, -0.0]
