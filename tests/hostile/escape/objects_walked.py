# Everything that the collector knows: nothing in it is the host's.
# expect: succeeded
# result: []
# profile: patient
import gc


def main():
    found, things = [], gc.get_objects()
    # Not as they would be found in our own constants.
    wanted = [
        text.replace("_", "/") for text in ("amqp:__", "_root_", "_home_", "_etc_", ".cargo_")
    ]
    for thing in things:
        if isinstance(thing, (str, bytes, dict, list, tuple)):
            for text in wanted:
                if text in (
                    thing
                    if isinstance(thing, str)
                    else str(thing)[:100_000] if len(thing) < 1000 else ""
                ):
                    found.append(type(thing).__name__)
    return found
