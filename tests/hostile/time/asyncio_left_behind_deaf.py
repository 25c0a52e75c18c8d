# Returns while a task goes on that hears nothing: neither that it is cancelled, nor the alarm.
# expect: timeout
# profile: asleep
import asyncio


async def deaf():
    while True:
        try:
            await asyncio.sleep(0.01)
        except BaseException:
            pass


async def main():
    asyncio.ensure_future(deaf())
    await asyncio.sleep(0)
    return 1
