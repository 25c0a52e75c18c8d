# Work that is handed to other threads, of which there are none.
# expect: timeout
import asyncio


def forever():
    while True:
        pass


async def main():
    return await asyncio.to_thread(forever)
