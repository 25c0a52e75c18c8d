# A future that nobody will complete.
# expect: failed
# error: RuntimeError
import asyncio


async def main():
    await asyncio.Future()
