# A function without a name.
# expect: succeeded
# result: 1
main = lambda: 1
