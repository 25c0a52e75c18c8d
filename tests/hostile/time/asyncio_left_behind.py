# Returns while a task that will not be cancelled goes on. Where the alarm rings decides.
# expect: timeout|succeeded
# profile: asleep
import asyncio


async def stubborn():
    while True:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass


async def main():
    asyncio.ensure_future(stubborn())
    await asyncio.sleep(0)
    return 1
