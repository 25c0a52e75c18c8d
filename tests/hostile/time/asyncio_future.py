# A future that nobody will complete.
# expect: failed
# error: RuntimeError
# profile: asleep
import asyncio


async def main():
    await asyncio.Future()
