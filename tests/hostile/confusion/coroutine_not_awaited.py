# A coroutine inside of the result.
# expect: failed
# error: TypeError
async def later():
    return 1


def main():
    return [later()]
