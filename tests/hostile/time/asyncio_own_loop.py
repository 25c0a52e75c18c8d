# A loop of the script's own in the place of ours.
# expect: timeout
# profile: asleep
import asyncio


class Loop:
    def __getattr__(self, name):
        while True:
            pass


async def main():
    asyncio.events._set_running_loop(Loop())
    await asyncio.sleep(1)
