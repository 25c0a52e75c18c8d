"""Tests of the stand-in, and with it of all of `roh` but the sandbox's boundary.

cd guest/standin && python3 -m unittest
"""

import contextlib
import io
import os
import socket
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest import mock

import roh
from roh import http, testing


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked, and with the status that the path says."""

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        text = f"{self.command} {self.path} {self.headers.get('content-type')} "
        content = text.encode() + body
        self.send_response(int(self.path[1:4]))
        self.send_header("Content-Type", "text/plain; charset=latin-1")
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_HEAD = answer

    def log_message(self, *_args):
        pass


@contextlib.contextmanager
def hang_up_after(answer):
    """A server that says no more than that to its one client. Its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            client, _ = server.accept()
            with client:
                while b"\r\n\r\n" not in client.recv(65536):
                    pass
                client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield "http://127.0.0.1:{}/".format(server.getsockname()[1])
        thread.join()


class TestTask(unittest.TestCase):
    def setUp(self):
        testing.reset(id="t-1", attempt=2, tenant="acme", seconds=60)

    def test_tells_of_the_task(self):
        self.assertEqual(
            (roh.task.id, roh.task.attempt, roh.task.tenant), ("t-1", 2, "acme")
        )
        self.assertTrue(0 < roh.task.remaining() <= 60)

    def test_takes_secrets_from_the_environment(self):
        with mock.patch.dict(os.environ, {"ROH_SECRET_KEY": "hush"}):
            self.assertEqual(roh.secret("KEY"), "hush")
        with self.assertRaisesRegex(roh.NotGranted, "ROH_SECRET_OTHER"):
            roh.secret("OTHER")

    def test_keeps_what_was_submitted_and_published(self):
        id = roh.submit("reports.daily", 2026, region="eu", task="of theirs")
        kwargs = {"region": "eu", "task": "of theirs"}
        self.assertEqual(testing.submitted, [("reports.daily", (2026,), kwargs, id)])
        roh.amqp.publish("events", "a.b", {"n": 1})
        roh.amqp.publish("events", body="text")
        roh.amqp.publish("events", body=b"\0", content_type="image/png")
        self.assertEqual(
            testing.published,
            [
                ("events", "a.b", b'{"n": 1}', "application/json"),
                ("events", "", b"text", "text/plain; charset=utf-8"),
                ("events", "", b"\0", "image/png"),
            ],
        )

    def test_refuses_what_is_not_json(self):
        with self.assertRaises(TypeError):
            roh.submit("m.f", {1, 2})
        with self.assertRaises(ValueError):
            roh.state["k"] = float("nan")
        with self.assertRaises(TypeError):
            roh.submit(7)
        with self.assertRaises(TypeError):
            roh.amqp.publish("events", 7)
        with self.assertRaises(TypeError):
            roh.secret(None)
        self.assertEqual((testing.submitted, testing.published), ([], []))

    def test_shows_progress(self):
        with contextlib.redirect_stderr(io.StringIO()) as shown:
            roh.progress(3, total=10)
        self.assertEqual(shown.getvalue(), "roh: 3 of 10 done\n")


class TestState(unittest.TestCase):
    def setUp(self):
        testing.reset()

    def test_is_a_mapping(self):
        self.assertEqual(roh.state.get("k", 7), 7)
        roh.state["k"] = {"n": [1, None]}
        roh.state["other"] = "text"
        self.assertEqual(roh.state["k"], {"n": [1, None]})
        self.assertIn("k", roh.state)
        self.assertEqual(roh.state.keys("o"), ["other"])
        self.assertEqual(sorted(roh.state), ["k", "other"])
        self.assertEqual(roh.state.pop("other"), "text")
        del roh.state["k"]
        self.assertNotIn("k", roh.state)
        with self.assertRaises(KeyError):
            del roh.state["k"]

    def test_has_keys_that_are_text(self):
        for key in (1, None, b"k", ("k",)):
            with self.subTest(key=key):
                with self.assertRaises(TypeError):
                    roh.state[key] = 1
                with self.assertRaises(TypeError):
                    roh.state.get(key)
                with self.assertRaises(TypeError):
                    roh.state.pop(key)
                with self.assertRaises(TypeError):
                    roh.state.keys(key)
        with self.assertRaises(ValueError):
            roh.state["\ud800"] = 1
        # In values, they are those that Python's `json` takes.
        roh.state["k"] = {1: "a", None: "b"}
        self.assertEqual(roh.state["k"], {"1": "a", "null": "b"})
        with self.assertRaises(TypeError):
            roh.state["k"] = {("a",): 1}

    def test_can_be_kept_in_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "state.json")
            with mock.patch.dict(os.environ, {"ROH_STATE": path}):
                roh.state["k"] = "v"
                self.assertEqual(roh.state["k"], "v")
            with open(path) as file:
                self.assertEqual(file.read(), '{"k": "v"}')
        self.assertNotIn("k", roh.state)


class TestHttp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = HTTPServer(("127.0.0.1", 0), Echo)
        cls.url = f"http://127.0.0.1:{cls.server.server_port}"
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def test_asks_with_parameters(self):
        response = http.get(f"{self.url}/200?a=1#there", params={"b": [2, 3], "c": "ä"})
        self.assertEqual(response.text, "GET /200?a=1&b=2&b=3&c=%C3%A4 None ")
        self.assertTrue(response.ok)
        response.raise_for_status()
        self.assertEqual(
            response.headers["CONTENT-TYPE"], "text/plain; charset=latin-1"
        )
        self.assertEqual(response.headers["set-cookie"], "a=1, b=2")
        self.assertEqual(response.headers.get_all("Set-Cookie"), ["a=1", "b=2"])
        self.assertNotIn("x-other", response.headers)

    def test_sends_json_forms_text_and_bytes(self):
        for options, expected in (
            ({"json": {"n": 1}}, 'application/json {"n": 1}'),
            ({"data": {"n": 1}}, "application/x-www-form-urlencoded n=1"),
            ({"data": "ä", "headers": {"Content-Type": "text/x"}}, "text/x Ã¤"),
            ({"json": 1, "headers": [("content-type", "a/b")]}, "a/b 1"),
        ):
            with self.subTest(options):
                text = http.post(f"{self.url}/201", **options).text
                self.assertEqual(text, f"POST /201 {expected}")
        with self.assertRaises(TypeError):
            http.put(self.url, json=1, data=b"")

    def test_tells_of_errors(self):
        response = http.head(f"{self.url}/404")
        self.assertEqual((response.status, response.content), (404, b""))
        with self.assertRaises(http.HTTPStatusError) as raised:
            response.raise_for_status()
        self.assertIsInstance(raised.exception, roh.HostError)
        self.assertIs(raised.exception.response, response)
        with self.assertRaises(ValueError):
            http.get("file:///etc/passwd")
        with self.assertRaises(roh.HostError):
            http.get("http://127.0.0.1:1/")

    def test_fails_as_inside_when_the_server_hangs_up(self):
        for answer in (
            b"",
            b"nonsense\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            b"HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        ):
            with self.subTest(answer), hang_up_after(answer) as url:
                with self.assertRaises(roh.HostError):
                    http.get(url)

    def test_times_out_as_inside(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = "http://127.0.0.1:{}/".format(silent.getsockname()[1])
            with self.assertRaises(TimeoutError):
                http.get(url, timeout=0.05)

    def test_refuses_addresses_that_are_none(self):
        for url in ("http://host:port/", "http://[::1/", "http://h/a b"):
            with self.subTest(url), self.assertRaises(ValueError):
                http.get(url)

    def test_reads_json_and_odd_charsets(self):
        self.assertEqual(http.Response(200, "", (), b'{"n": 1}').json(), {"n": 1})
        kind = [("content-type", "text/plain; charset=none")]
        self.assertEqual(http.Response(200, "", kind, "ä".encode()).text, "ä")


if __name__ == "__main__":
    unittest.main()
