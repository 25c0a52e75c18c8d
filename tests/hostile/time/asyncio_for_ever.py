# An event loop that is never idle.
# expect: timeout
import asyncio


async def main():
    while True:
        await asyncio.sleep(0)
