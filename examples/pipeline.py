"""An asyncio task: several steps wait at once, and the instance holds no thread meanwhile.

    roh run examples/pipeline.py --args '[["a", "b", "c"]]'
"""

import asyncio
import time


async def fetch(name, delay):
    await asyncio.sleep(delay)  # stands for something that takes its time
    return {"name": name, "length": len(name)}


async def main(names, delay=0.2):
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetch(name, delay)) for name in names]
    return {
        "results": [task.result() for task in tasks],
        "all_at_once": time.monotonic() - started < delay * max(len(names), 2),
    }
