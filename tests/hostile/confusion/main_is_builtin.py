# A built-in function.
# expect: succeeded
# result: []
main = list
