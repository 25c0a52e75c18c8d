# The reference that asyncio keeps of a module that is not to be had.
# expect: succeeded
# result: []
import asyncio


def main():
    done = []
    for module in (
        asyncio.base_events,
        asyncio.unix_events,
        asyncio.subprocess,
        asyncio.base_subprocess,
    ):
        try:
            module.subprocess.Popen(["id"])
            done.append("Popen")
        except (AttributeError, OSError, NameError, ImportError, TypeError):
            pass
    try:
        asyncio.run(asyncio.create_subprocess_shell("id"))
        done.append("shell")
    except (OSError, NotImplementedError):
        pass
    return done
