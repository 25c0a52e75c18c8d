# A function with its arguments.
# expect: succeeded
# result: 8
import functools

main = functools.partial(pow, 2, 3)
