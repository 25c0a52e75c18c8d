# The network, by every layer of the standard library.
# expect: succeeded
# result: []
import asyncio
import http.client
import socket
import urllib.request


def main():
    done = []
    for attempt in (
        lambda: socket.socket(),
        lambda: socket.create_connection(("127.0.0.1", 8080), 1),
        lambda: socket.create_server(("", 0)),
        lambda: socket.getaddrinfo("localhost", 80),
        lambda: socket.gethostbyname("localhost"),
        lambda: socket.socketpair(),
        lambda: socket.fromfd(0, socket.AF_INET, socket.SOCK_STREAM),
        lambda: http.client.HTTPConnection("127.0.0.1", 8080, timeout=1).request("GET", "/"),
        lambda: urllib.request.urlopen("http://127.0.0.1:8080/api/management", timeout=1),
        lambda: urllib.request.urlopen("file:///etc/passwd"),
        lambda: urllib.request.urlopen("data:,x").url == "" or 1 / 0,
        lambda: asyncio.run(asyncio.wait_for(asyncio.open_connection("127.0.0.1", 8080), 1)),
    ):
        try:
            attempt()
            done.append(attempt.__code__.co_firstlineno)
        except (OSError, TypeError, ZeroDivisionError):
            pass
    return done
