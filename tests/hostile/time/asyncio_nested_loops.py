# Loops that run loops.
# expect: failed
# error: RuntimeError
import asyncio


async def main():
    return asyncio.new_event_loop().run_until_complete(main())
