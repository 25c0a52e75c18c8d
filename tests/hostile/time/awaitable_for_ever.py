# An object that is awaited, and yields for ever.
# expect: timeout
class Forever:
    def __await__(self):
        while True:
            yield


async def main():
    await Forever()
