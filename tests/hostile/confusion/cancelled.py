# A coroutine that cancels itself.
# expect: failed
# error: asyncio.exceptions.CancelledError
import asyncio


async def main():
    asyncio.current_task().cancel()
    await asyncio.sleep(1)
