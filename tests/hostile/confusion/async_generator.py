# An async generator is no coroutine.
# expect: failed
# error: TypeError
async def main():
    yield 1
