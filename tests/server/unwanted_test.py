#!/usr/bin/env python3
"""unwanted_test SENVEC MODEL: bodies that nobody wants are not read, and whoever sends one is told so."""
import concurrent.futures
import http.client
import json
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import service
from service import Service

LARGE, TOO_LARGE, SMALL = 30 << 20, 50 << 20, 60000
MAX_BODY = "40"  # MB
READ = 8 << 20  # of a large body, what the server's kernel may take at most
KEY = {"Authorization": "Bearer secret"}

# Method, path, headers, status: each is known before the body.
UNWANTED = [
    ("POST", "/nothing", KEY, 404),
    ("PUT", "/embed", KEY, 405),
    ("POST", "/embed", {}, 401),
    ("POST", "/embed", {**KEY, "Content-Encoding": "br"}, 415),
    ("POST", "/embed", {**KEY, "X-Timeout-Ms": "soon"}, 400),
    ("POST", "/embed", {**KEY, "Origin": "http://elsewhere.example"}, 403),
    ("GET", "/health", {}, 200),
    ("GET", "/info", {**KEY, "Content-Encoding": "gzip"}, 200),
    ("OPTIONS", "/embed", {}, 204),
]
OVER_LIMIT = ("POST", "/embed", KEY, 413)
UNCLEAR = ("POST", "/embed", {**KEY, "Transfer-Encoding": "gzip"}, 400)


def acknowledged(raw):
    """Bytes that the other side's kernel has taken: tcpi_bytes_acked."""
    return struct.unpack_from("Q", raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128), 120)[0]


def pieces(size):
    for _ in range(size >> 16):
        yield b"x" * 65536


class Unwanted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service("--max-body", MAX_BODY, environment={"SENVEC_API_KEY": "secret"})

    @classmethod
    def tearDownClass(cls):
        cls.service.__exit__(None)

    def answer(self, case, **how):
        """Asks as a client does that sends everything before it reads. The connection ends, and most of the body isn't read."""
        method, path, headers, status = case
        connection = self.service.connect()
        connection.connect()
        raw = connection.sock.dup()
        try:
            connection.request(method, path, headers={**headers, **how.pop("headers", {})}, **how)
        except ConnectionError:  # the server has had enough; what it said is there
            pass
        response = connection.getresponse()
        data = response.read()
        taken = acknowledged(raw)
        raw.close()
        connection.close()
        self.assertEqual((response.status, response.getheader("Connection")), (status, "close"), (case, data))
        self.assertLess(taken, READ, case)
        self.assertEqual(int(response.getheader("Content-Length", 0)), len(data), case)
        if status >= 400:
            self.assertTrue(json.loads(data)["error"], case)

    def together(self, cases, ask):
        """Each of them waits until the server has had enough."""
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            list(pool.map(ask, cases))

    def test_large(self):
        self.together(UNWANTED, lambda case: self.answer(case, body=b"x" * LARGE))

    def test_over_the_limit(self):
        self.answer(OVER_LIMIT, body=b"x" * TOO_LARGE)

    def test_chunked(self):
        chunked = {"Transfer-Encoding": "chunked"}
        self.together(UNWANTED, lambda case: self.answer(case, body=pieces(LARGE), encode_chunked=True, headers=chunked))

    def test_unclear_end(self):
        self.answer(UNCLEAR, body=b"x" * LARGE)

    def test_small(self):
        """A small body is read: the client keeps its connection."""
        connection = self.service.connect()
        connection.connect()
        raw = connection.sock
        for method, path, headers, status in UNWANTED:
            connection.request(method, path, b"x" * SMALL, headers)
            response = connection.getresponse()
            response.read()
            self.assertEqual((response.status, response.getheader("Connection")), (status, None), (method, path))
            self.assertIs(connection.sock, raw)
        connection.close()

    def test_asks_before(self):
        """Expect: 100-continue is answered by the status, and nothing has to be sent."""
        for method, path, headers, status in UNWANTED + [OVER_LIMIT]:
            for size in (TOO_LARGE,) if status == 413 else (SMALL, LARGE):
                with self.service.socket() as raw:
                    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                    raw.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n{lines}"
                                "Expect: 100-continue\r\n\r\n".encode())
                    response = http.client.HTTPResponse(raw, method=method)
                    response.begin()
                    self.assertEqual(response.status, status, (method, path, size))

    def test_curl(self):
        if not shutil.which("curl"):
            self.skipTest("no curl command")
        with tempfile.TemporaryDirectory() as folder:
            body, out = Path(folder, "body"), Path(folder, "out")
            for method, path, headers, status in UNWANTED[:3] + [OVER_LIMIT]:
                body.write_bytes(b"x" * (TOO_LARGE if status == 413 else LARGE))
                for more in ([], ["-H", "Expect:"], *([["-H", "Transfer-Encoding: chunked"]] if status != 413 else [])):
                    options = [option for item in headers.items() for option in ("-H", ": ".join(item))]
                    result = subprocess.run(["curl", "-s", "-X", method, "-o", out, "-w", "%{http_code}", "--data-binary",
                                             f"@{body}", *options, *more, self.service.address + path],
                                            capture_output=True, check=False)
                    self.assertEqual((result.returncode, result.stdout.decode()), (0, str(status)), (path, more))
                    self.assertTrue(json.loads(out.read_text())["error"])

    def test_silent_reader(self):
        """A client that sends for ever is stopped and can read the answer afterwards."""
        with self.service.socket() as raw:
            raw.sendall(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
            with self.assertRaises(ConnectionError):
                while True:
                    raw.sendall(b"x" * 65536)
            self.assertLess(acknowledged(raw), READ)
            self.assertTrue(raw.recv(100).startswith(b"HTTP/1.1 404"))

    def test_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = service.certificate(folder)
            context = ssl.create_default_context(cafile=certificate)
            context.check_hostname = False
            with Service("--tls-cert", certificate, "--tls-key", key) as s:
                connection = http.client.HTTPSConnection("127.0.0.1", s.port, timeout=service.PATIENCE, context=context)
                connection.connect()
                raw = socket.socket(fileno=socket.dup(connection.sock.fileno()))
                try:
                    connection.request("POST", "/nothing", b"x" * LARGE)
                except (ConnectionError, ssl.SSLError):
                    pass
                response = connection.getresponse()
                self.assertEqual(response.status, 404)
                self.assertTrue(json.loads(response.read())["error"])
                self.assertLess(acknowledged(raw), READ)
                raw.close()
                connection.close()


if __name__ == "__main__":
    service.MODEL = sys.argv.pop()
    service.SENVEC = sys.argv.pop()
    unittest.main(verbosity=2)
