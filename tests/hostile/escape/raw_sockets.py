# Sockets below the module that was made to refuse.
# expect: succeeded
# result: []
import socket


def main():
    done = []
    try:
        import _socket

        for name in ("socket", "getaddrinfo", "gethostbyname", "gethostname", "if_nameindex"):
            try:
                getattr(_socket, name)(*[("localhost",), ("localhost", 80)][name == "getaddrinfo"])
                done.append(name)
            except (OSError, AttributeError, TypeError):
                pass
    except ImportError:
        pass
    del socket.socket.__init__
    try:
        socket.socket().connect(("127.0.0.1", 8080))
        done.append("connect")
    except (OSError, AttributeError, TypeError):
        pass
    return done
