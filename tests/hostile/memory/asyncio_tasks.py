# Tasks that are started faster than they end.
# expect: out-of-memory
# profile: patient
import asyncio


async def breed():
    asyncio.ensure_future(breed())
    asyncio.ensure_future(breed())
    await asyncio.sleep(0)


async def main():
    await breed()
    await asyncio.sleep(3600)
