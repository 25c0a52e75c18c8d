# What is awaited returns something to await.
# expect: failed
# error: TypeError
async def later():
    return 1


async def main():
    return later()
