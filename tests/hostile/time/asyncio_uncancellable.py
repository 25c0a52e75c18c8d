# A task that will not be cancelled, in a loop that waits for it.
# expect: timeout
# profile: asleep
import asyncio


async def stubborn():
    while True:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass


async def main():
    async with asyncio.timeout(0.01):
        await stubborn()
