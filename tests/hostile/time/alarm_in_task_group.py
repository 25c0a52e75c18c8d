# The alarm rings in a task of a group in a group: what comes out is a group of groups.
# expect: timeout
# says: cpu limit
import asyncio


def nothing():
    pass


async def busy():
    while True:
        nothing()


async def inner():
    async with asyncio.TaskGroup() as group:
        group.create_task(busy())
        group.create_task(asyncio.sleep(60))


async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(inner())
