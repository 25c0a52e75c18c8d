# The end of an iteration that was none, in a coroutine as well.
# expect: failed
# error: RuntimeError
async def main():
    raise StopIteration(5)
