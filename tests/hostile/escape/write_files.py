# Files that could be made.
# expect: succeeded
# result: []
import os
import tempfile


def main():
    done = []
    for attempt in (
        lambda: open("/tmp/roh-was-here", "w"),
        lambda: open("roh-was-here", "xb"),
        lambda: os.open("/tmp/roh-was-here", os.O_CREAT | os.O_RDWR),
        lambda: os.mkdir("/tmp/roh-was-here"),
        lambda: os.symlink("/etc/passwd", "link"),
        lambda: os.link("/etc/passwd", "link"),
        lambda: os.rename("/tmp", "/tmp2"),
        lambda: os.remove("/etc/passwd"),
        lambda: os.rmdir("/tmp"),
        lambda: os.truncate("/etc/passwd", 0),
        lambda: os.utime("/etc/passwd"),
        lambda: os.chmod("/etc/passwd", 0o777),
        lambda: tempfile.mkstemp(),
        lambda: tempfile.TemporaryFile(),
    ):
        try:
            attempt()
            done.append(attempt.__code__.co_names)
        except (OSError, AttributeError):
            pass
    return done
