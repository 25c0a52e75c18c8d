# A number.
# expect: invalid
main = 42
