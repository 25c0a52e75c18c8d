# An event loop that is always idle.
# expect: timeout
# says: wall limit
# profile: asleep
import asyncio


async def main():
    await asyncio.gather(*[asyncio.sleep(10**6) for _ in range(100)])
