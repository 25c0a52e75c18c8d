"""What a script may try, and what becomes of it. None of it harms a neighbour.

    roh run examples/misbehave.py --function read_a_file
    roh run examples/misbehave.py --function endless_loop --cpu 1s
"""


def endless_loop():
    while True:
        pass


def memory_bomb():
    hoard = []
    while True:
        hoard.append("x" * 1_000_000)


def read_a_file(path="/etc/passwd"):
    with open(path) as file:
        return file.read()


def start_a_program():
    import subprocess

    return subprocess.run(["id"], capture_output=True, check=True).stdout.decode()


def call_home():
    import socket

    return socket.create_connection(("192.0.2.1", 80), timeout=1) is not None


def look_around():
    """All that there is to see of the host: nothing."""
    import os

    return {"environment": dict(os.environ)}


def swallow_everything():
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue


def print_forever():
    while True:
        print("spam " * 1000)
