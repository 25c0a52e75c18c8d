# Nothing.
# expect: invalid
x = 1
