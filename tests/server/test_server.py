#!/usr/bin/env python3
"""test_server SENVEC MODEL: who may ask, what a request is, limits and the end of the server, by the standard library's client;
its APIs are in test_apis.py."""
import gzip
import http.client
import json
import os
import re
import resource
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings
import zlib
from pathlib import Path

import service
from service import TEXTS, Service

# A server that LONG keeps busy for half a minute, on a fast machine; whoever waits for its end gives up sooner.
SLOW = ("-t", "1", "--cpu", "ref", "-p", "fp32", "--cache", "0")
LONG = json.dumps({"inputs": ["a " * 62] * 20000}).encode()


def post(body):
    return b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Access(unittest.TestCase):
    def test_key(self):
        with Service("--cors", "https://example.org", environment={"SENVEC_API_KEY": "s3cret"}) as s:
            body = {"inputs": "a"}
            for given in (None, "Bearer s3cre", "Bearer s3cret1", "s3cret", "Bearer "):
                status, answer, _ = s.call("POST", "/embed", body, {"Authorization": given} if given else {})
                self.assertEqual((status, answer["www-authenticate"]), (401, "Bearer"))
            status, answer, _ = s.call("POST", "/embed", body, {"Authorization": "Bearer s3cret"})
            self.assertEqual((status, answer["access-control-allow-origin"]), (200, "https://example.org"))
            for path in ("/health", "/", "/openapi.json"):
                self.assertEqual(s.call("GET", path)[0], 200)
            for path in ("/metrics", "/metrics/", "/%6detrics", "/metrics%2f"):
                self.assertEqual(s.call("GET", path)[0], 401, path)
                self.assertEqual(s.call("GET", path, None, {"api-key": "s3cret"})[0], 200, path)
            names = "authorization,content-type,x-stainless-os"  # openai's library for pages sends such
            status, answer, _ = s.call("OPTIONS", "/embed", None, {"Access-Control-Request-Headers": names})
            self.assertEqual((status, answer["access-control-allow-headers"]), (204, names))
            for method, path, allowed in (("GET", "/embed", "POST, OPTIONS"), ("POST", "/health", "GET, HEAD, OPTIONS")):
                status, answer, _ = s.call(method, path, None)
                self.assertEqual((status, answer["allow"]), (405, allowed))

    def test_metrics_address(self):
        def call(port, path):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=service.PATIENCE)
            connection.request("GET", path)
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            return answer.status, data

        with Service("--metrics-address", "127.0.0.1:0", environment={"SENVEC_API_KEY": "s3cret"}) as s:
            port = int(re.search(rb"for /metrics on http://127.0.0.1:([0-9]+)", s.errors)[1])
            self.assertEqual(call(port, "/metrics")[0], 200)
            self.assertIn(b"senvec_connections", call(port, "/metrics/")[1])
            self.assertEqual(call(port, "/health")[0], 200)
            for path in ("/", "/info", "/openapi.json", "/v1/models"):
                self.assertEqual(call(port, path)[0], 404, path)
            for key in ({}, {"api-key": "s3cret"}):
                for path in ("/metrics", "/metrics/", "/%6detrics", "/metrics%2f"):
                    self.assertEqual(s.call("GET", path, None, key)[0], 404, path)
        for wrong in ("9090", ":", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:9x", ":9090"):
            result = subprocess.run([service.SENVEC, "serve", "-m", service.MODEL, "--port", "0", "--metrics-address", wrong],
                                    capture_output=True)
            self.assertEqual(result.returncode, 2, wrong)
            self.assertIn(b"--metrics-address", result.stderr)

    def test_unix_socket_and_log(self):
        with tempfile.TemporaryDirectory() as folder:
            path, log = Path(folder, "s"), Path(folder, "log")
            for _ in range(2):  # the second finds no socket left behind
                with Service("--unix", path, "--access-log", log, environment={"SENVEC_SERVE_MODEL_NAME": "named"}) as s:
                    self.assertEqual(s.address, f"unix:{path}")
                    raw = socket.socket(socket.AF_UNIX)
                    raw.connect(str(path))
                    raw.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
                    data = b""
                    while b'"named"' not in data:
                        data += (more := raw.recv(4096))
                        self.assertTrue(more, data)
                    raw.close()
                self.assertFalse(path.exists())
            lines = [json.loads(line) for line in log.read_text().splitlines()]
            self.assertEqual([(line["method"], line["path"], line["status"]) for line in lines],
                             [("GET", "/v1/models", 200)] * 2)

    def test_rights_of_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "s")
            before = os.umask(0)
            self.addCleanup(os.umask, before)
            for mask, options, mode in ((0, (), 0o600), (0o77, ("--unix-mode", "660"), 0o660)):
                os.umask(mask)
                with Service("--unix", path, *options):
                    self.assertEqual(stat.S_IMODE(path.stat().st_mode), mode)
            for options in (("--unix", path, "--unix-mode", wrong) for wrong in ("", "8", "1777", "0", "400", "-1", "66 ")):
                result = subprocess.run([service.SENVEC, "serve", "-m", service.MODEL, *options], capture_output=True)
                self.assertEqual(result.returncode, 2, options)
                self.assertIn(b"--unix-mode", result.stderr)
            result = subprocess.run([service.SENVEC, "serve", "-m", service.MODEL, "--unix-mode", "660"], capture_output=True)
            self.assertEqual(result.returncode, 2)
            self.assertIn(b"--unix", result.stderr)

    def test_trace_in_log_and_answer(self):
        """The caller's traceparent comes back and is in the log, also of an error; one that isn't well formed is ignored."""
        trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
        given = [f"00-{trace}-{parent}-01", f"00-{trace}-{parent}-0", None]
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "log")
            with Service("--access-log", log) as s:
                for value in given:
                    for inputs, status in (("a", 200), (1, 400)):
                        got, headers, _ = s.call("POST", "/embed", {"inputs": inputs},
                                                 {"traceparent": value} if value else {})
                        self.assertEqual(got, status)
                        self.assertEqual(headers.get("traceparent"), value if value == given[0] else None)
            lines = [json.loads(line) for line in log.read_text().splitlines()]
        self.assertEqual([(line.get("trace_id"), line.get("parent_id")) for line in lines if line["path"] == "/embed"],
                         [(trace, parent)] * 2 + [(None, None)] * 4)

    def test_openmetrics(self):
        """A scraper that asks for OpenMetrics gets families without _total, bounds as floats, exemplars and the end's mark."""
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        with Service() as s:
            for flags in ("01", "00"):
                s.call("POST", "/embed", {"inputs": "a"}, {"traceparent": f"00-{trace}-00f067aa0ba902b7-{flags}"})
            s.wait_for(lambda values: values["senvec_request_seconds_count"] == 2)
            _, headers, data = s.call("GET", "/metrics", headers={"Accept": "Application/OpenMetrics-Text; version=1.0.0"})
            self.assertEqual(headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8")
            lines = data.decode().splitlines()
            self.assertEqual((lines[-1], lines.count("# EOF")), ("# EOF", 1))
            for line in ("# TYPE senvec_http_requests counter", "# TYPE senvec info", "# TYPE senvec_sessions gauge"):
                self.assertIn(line, lines)
            self.assertFalse([line for line in lines if line.startswith("#") and "_total " in line])
            for bound in re.findall('le="([^"]*)"', data.decode()):
                self.assertRegex(bound, r"[.e]|^\+Inf$")
            marked = [line for line in lines if " # " in line]
            self.assertEqual(len(marked), 1)
            self.assertRegex(marked[0], r'^senvec_request_seconds_bucket\{le="[^"]+"\} [12] # \{trace_id="' + trace +
                             r'"\} [0-9.e-]+ [0-9]+\.[0-9]{3}$')
            self.assertNotIn(b" # {", s.call("GET", "/metrics", headers={"Accept": "text/plain"})[2])

    def test_odd_bytes_in_log_and_errors(self):
        """A line of the log is JSON that a terminal survives, and an answer is UTF-8, whatever came."""
        requests = [b'GE"T,"x":"\x1b[31m\xff / HTTP/1.1\r\nHost: x\r\n\r\n', b"get /health HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"GET /\xff\x1b\"a HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"POST /embed HTTP/1.1\r\nHost: x\r\nX-Timeout-Ms: \xff\xc3(\r\nContent-Length: 0\r\n\r\n",
                    b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Encoding: \xc3\xa9\xff\r\nContent-Length: 0\r\n\r\n"]
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "log")
            with Service("--access-log", log) as s:
                for request in requests:
                    with s.socket() as raw:
                        raw.sendall(request)
                        raw.shutdown(socket.SHUT_WR)
                        data = b""
                        while chunk := raw.recv(65536):
                            data += chunk
                    if data.startswith(b"HTTP/1.1 4"):
                        data.decode()
            for line in log.read_bytes().splitlines():
                self.assertRegex(line, b"^[ -~]*$")
                entry = json.loads(line)
                self.assertRegex(entry["method"], "^[A-Z?]+$")
                self.assertEqual(list(entry)[:6], ["time", "id", "client", "method", "path", "status"])

    def test_log_that_nobody_reads(self):
        """Lines are lost and counted; requests are not."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "fifo")
            os.mkfifo(log)
            reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
            with Service("--access-log", log) as s:
                connection = s.connect()
                for _ in range(1000):
                    self.assertEqual(s.call("GET", "/health", connection=connection)[0], 200)
                connection.close()
                self.assertGreater(s.metrics()["senvec_log_lines_lost_total"], 0)
                lines = os.read(reader, 1 << 20).splitlines()
                self.assertGreater(len(lines), 100)
                for line in lines:
                    self.assertEqual(json.loads(line)["status"], 200)
                lost = s.metrics()["senvec_log_lines_lost_total"]
                self.assertEqual(s.call("GET", "/health")[0], 200)
                self.assertEqual(s.metrics()["senvec_log_lines_lost_total"], lost)  # there is room again
            os.close(reader)

    def test_foreign_pages(self):
        """A browser sends the page's origin: only ours may use the server, unless --cors names it."""
        def ask(s, origin, host=None, path="/embed"):
            headers = {"Origin": origin, **({"Host": host} if host else {})}
            return s.call("POST", path, {"inputs": "a", "input": "a"}, headers)[0]

        with Service() as s:
            for host in ("127.0.0.1", "localhost", "[::1]"):
                self.assertEqual(ask(s, f"http://{host}:{s.port}", f"{host}:{s.port}"), 200)
            for origin, host in (("https://evil.example", None), ("null", None), ("http://127.0.0.1", None), ("", None),
                                 (f"http://evil.example:{s.port}", f"evil.example:{s.port}"),  # its name leads to us
                                 ("http://127.evil.example", "127.evil.example"), ("http://localhost.evil", "localhost.evil")):
                for path in ("/embed", "/v1/embeddings", "/tokenize"):
                    self.assertEqual(ask(s, origin, host, path), 403, (origin, host))
            self.assertEqual(s.call("GET", "/health", headers={"Origin": "https://evil.example"})[0], 200)
        with Service("--cors", "https://good.example") as s:
            self.assertEqual((ask(s, "https://good.example"), ask(s, "https://evil.example")), (200, 403))
        with Service("--cors", "*") as s:
            self.assertEqual(ask(s, "https://evil.example"), 200)

    def test_the_page_is_shut(self):
        with Service() as s:
            headers = s.call("GET", "/")[1]
            self.assertIn("default-src 'none'", headers["content-security-policy"])
            for path in ("/", "/info", "/nothing"):
                self.assertEqual(s.call("GET", path)[1]["x-content-type-options"], "nosniff")

    def test_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = service.certificate(folder)
            with Service("--tls-cert", certificate, "--tls-key", key) as s:
                self.assertTrue(s.address.startswith("https://"))
                for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
                    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
                    old.set_ciphers("ALL:@SECLEVEL=0")
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        old.minimum_version = old.maximum_version = version
                    with self.assertRaises((ssl.SSLError, ConnectionError)), old.wrap_socket(s.socket()):
                        pass
                context = ssl.create_default_context(cafile=certificate)
                context.check_hostname = False
                with context.wrap_socket(s.socket()) as raw:
                    raw.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                    self.assertTrue(raw.recv(100).startswith(b"HTTP/1.1 200"))

    def test_wrong_options(self):
        with tempfile.TemporaryDirectory() as folder:
            empty = Path(folder, "empty")
            empty.write_text("")
            cases = [(["--port", "70000"], 2), (["--policy", "best"], 2), (["--host", "a..b"], 2),
                     (["--tls-cert", empty], 2), (["--tls-cert", empty, "--tls-key", empty], 1),
                     (["--api-key-file", empty], 2), (["--unix", "x" * 200], 2),
                     (["--api-key-file", Path(folder, "none")], 1), (["extra"], 2)]
            for arguments, code in cases:
                result = subprocess.run([service.SENVEC, "serve", "-m", service.MODEL, "--port", "0", *map(str, arguments)],
                                        capture_output=True, timeout=service.PATIENCE)
                self.assertEqual(result.returncode, code, (arguments, result.stderr))
                self.assertEqual(result.stderr.count(b"\n"), 1, result.stderr)


class Requests(unittest.TestCase):
    """What may stand around a body."""

    def test_gzip(self):
        body = json.dumps({"inputs": TEXTS}).encode()
        with Service("--max-body", "1") as s:
            expected = s.json("POST", "/embed", body)
            self.assertEqual(expected[0], 200)
            two = gzip.compress(body[:20]) + gzip.compress(body[20:])
            for data, encoding in ((gzip.compress(body), "gzip"), (two, "GZIP"), (gzip.compress(body), "x-gzip"),
                                   (zlib.compress(body), "deflate"), (body, "identity"), (body, "")):
                self.assertEqual(s.json("POST", "/embed", data, {"Content-Encoding": encoding}), expected, encoding)
            connection = s.connect()
            connection.request("POST", "/embed", iter([two[i:i + 1] for i in range(len(two))]),
                               {"Transfer-Encoding": "chunked", "Content-Encoding": "gzip"}, encode_chunked=True)
            self.assertEqual(json.loads(connection.getresponse().read()), expected[1])
            connection.close()
            packed = gzip.compress(body)
            wrong = packed[:20] + bytes([packed[20] ^ 0x55]) + packed[21:]
            bomb = gzip.compress(b" " * (64 << 20))
            for data, encoding, status, word in (
                    (packed[:-9], "gzip", 400, "middle"), (b"", "gzip", 400, "middle"), (body, "gzip", 400, "gzip"),
                    (wrong, "gzip", 400, "gzip"), (packed + b"x", "gzip", 400, "gzip"), (bomb, "gzip", 413, "1048576"),
                    (body, "br", 415, "br"), (body, "gzip, gzip", 415, "gzip")):
                answer = s.json("POST", "/embed", data, {"Content-Encoding": encoding})
                self.assertEqual(answer[0], status, (encoding, answer))
                self.assertIn(word, answer[1]["error"])
            s.wait_for(lambda values: values["senvec_request_memory_bytes"] == 0)

    def test_absolute_form(self):
        with Service() as s:
            for target, status in ((b"http://x/health", b"200"), (b"HTTP://x:80/health/", b"200"), (b"http://x", b"200"),
                                   (b"https://x/nothing", b"404"), (b"http://x/health?a=http://y/z", b"200")):
                with s.socket() as raw:
                    raw.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
                    self.assertTrue(raw.recv(4096).startswith(b"HTTP/1.1 " + status), target)

    def test_keys(self):
        for given in "secret", "secret\n", "  secret\r\n":
            with Service(environment={"SENVEC_API_KEY": given}) as s:
                for headers in {"Authorization": "Bearer secret"}, {"api-key": "secret"}, {"Api-Key": "secret"}:
                    self.assertEqual(s.call("GET", "/info", headers=headers)[0], 200, (given, headers))
                for headers in {}, {"Authorization": "secret"}, {"api-key": "secretx"}, {"api-key": "Bearer secret"}:
                    self.assertEqual(s.call("GET", "/info", headers=headers)[0], 401, (given, headers))
        with tempfile.TemporaryDirectory() as folder:
            key = Path(folder, "key")
            for line, code in ((b"k" * 511, None), (b"k" * 512, 2), (b"k" * 511 + b"\n2", None), (b"a\rb", 2), (b"a\0b", 2),
                               (b" \n", 2), (b"k \r\nmore", None)):
                key.write_bytes(line)
                if code:
                    command = [service.SENVEC, "serve", "-m", service.MODEL, "--port", "0", "--api-key-file", key]
                    result = subprocess.run(command, capture_output=True, timeout=service.PATIENCE)
                    self.assertEqual((result.returncode, result.stderr.count(b"\n")), (code, 1), (line, result.stderr))
                    continue
                with Service("--api-key-file", key) as s:
                    header = {"Authorization": f"Bearer {line.split()[0].decode()}"}
                    self.assertEqual(s.call("GET", "/info", headers=header)[0], 200, line)
        for given in "a\nb", "a\x01", " \n", "":
            result = subprocess.run([service.SENVEC, "serve", "-m", service.MODEL, "--port", "0"], capture_output=True,
                                    timeout=service.PATIENCE, env={**os.environ, "SENVEC_API_KEY": given})
            self.assertEqual((result.returncode, result.stderr.count(b"\n")), (2, 1), (given, result.stderr))


class Framing(unittest.TestCase):
    """Requests that a proxy may understand otherwise: 400, and what comes behind isn't read as a request."""
    BODY, CHUNKED = b'{"inputs":"a"}', b'e\r\n{"inputs":"a"}\r\n0\r\n\r\n'
    NEXT = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: smuggled\r\n\r\n"
    OURS = [  # with a word of the message
        (b"1.1\r\nHost: x\r\nContent-Length: 14\r\nContent-Length: 15", BODY, "more than one Content-Length"),
        (b"1.1\r\nHost: x\r\nContent-Length: 0\r\ncontent-length: 14", BODY, "more than one Content-Length"),
        (b"1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity", CHUNKED, "Transfer-Encoding"),
        (b"1.0\r\nHost: x\r\nTransfer-Encoding: chunked", CHUNKED, "HTTP/1.0"),
        (b"1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 14", BODY, "more than one Host"),
        (b"1.1\r\nHost: x y\r\nContent-Length: 14", BODY, "Host must be"),
        (b"1.1\r\nHost: x\r\nBad(Name: a\r\nContent-Length: 14", BODY, "name"),
    ]
    LIBRARYS = [  # or ours, by the library's version
        (b"1.1\r\nContent-Length: 14", BODY),
        (b"1.1\r\nHost: x\r\nContent-Length: 14\r\nTransfer-Encoding: chunked", CHUNKED),
        (b"1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 14", CHUNKED),
        (b"1.1\r\nHost: x\r\nContent-Length: 14, 15", BODY),
        (b"1.1\r\nHost: x\r\nContent-Length: +14", BODY),
        (b"1.1\r\nHost: x\r\nContent-Length: 0x0e", BODY),
        (b"1.1\r\nHost: x\r\nContent-Length: 14x", BODY),
        (b"1.1\r\nHost: x\r\nContent-Length: -1", BODY),
        (b"1.1\r\nHost: x\r\nContent-Length:", BODY),
        (b"1.1\r\nHost: x\r\nContent-Length : 14", BODY),
        (b"1.1\r\nHost: x\r\nTransfer-Encoding : chunked", CHUNKED),
        (b"1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked", CHUNKED),
        (b"1.1\r\nHost: x\r\nTransfer-Encoding: identity", BODY),
        (b"1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked", CHUNKED),
        (b"1.1\r\nHost: x\r\nContent-Length:\r\n 14", BODY),  # continued on the next line
        (b"1.1\r\nHost: x\r\nContent-Length: 0\r\n\t14", BODY),
        (b"1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding:\r\n chunked", CHUNKED),
    ]
    FINE = [
        (b"1.1\r\nHost: x:80\r\nContent-Length: 14", BODY),
        (b"1.1\r\nHost: [::1]\r\nTransfer-Encoding: Chunked", CHUNKED),
        (b"1.1\r\nHost:\r\nContent-Length: 014", BODY),
    ]

    def answers(self, s, head, body):
        with s.socket() as raw:
            raw.sendall(b"POST /embed HTTP/" + head + b"\r\n\r\n" + body + self.NEXT)
            data = b""
            try:
                while b"smuggled" not in data and (chunk := raw.recv(65536)):
                    data += chunk
            except ConnectionResetError:  # what was not read makes the end a reset
                pass
            return data

    def test_framing(self):
        with Service() as s:
            for head, body, *words in self.OURS + self.LIBRARYS:
                data = self.answers(s, head, body)
                self.assertTrue(data.startswith(b"HTTP/1.1 400 "), (head, data))
                self.assertIn(b"\r\nConnection: close\r\n", data, head)
                self.assertNotIn(b"HTTP/1.1 200", data, head)
                for word in words:
                    self.assertIn(word, json.loads(data.split(b"\r\n\r\n", 1)[1])["error"], head)
            for head, body in self.FINE:
                data = self.answers(s, head, body)
                self.assertEqual((data.count(b"HTTP/1.1 200 OK"), b"smuggled" in data), (2, True), head)
            self.assertIn(b"HTTP/1.1 200 OK", self.answers(s, b"1.0\r\nContent-Length: 14", self.BODY))


class Limits(unittest.TestCase):
    def test_body(self):
        with Service("--max-body", "1", "--max-memory", "4") as s:
            status, answer = s.json("POST", "/embed", b"x" * ((1 << 20) + 1))
            self.assertEqual(status, 413)
            self.assertIn("1048576", answer["error"])
            with s.socket() as raw:
                raw.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\nExpect: 100-continue\r\n\r\n")
                self.assertTrue(raw.recv(100).startswith(b"HTTP/1.1 413"))
            connection = s.connect()
            connection.request("POST", "/embed", iter([b"x" * 65536] * 17), {"Transfer-Encoding": "chunked"},
                               encode_chunked=True)
            self.assertEqual(connection.getresponse().status, 413)
            connection.close()
            status, headers, _ = s.call("POST", "/v1/embeddings", {"input": ["a"] * 20000})
            self.assertEqual((status, headers.get("retry-after")), (413, None))  # it would never fit into the memory
            self.assertEqual(s.call("POST", "/embed", {"inputs": "a"})[0], 200)
            s.wait_for(lambda values: values["senvec_request_memory_bytes"] == 0)

    @unittest.skipIf(b"__tsan_init" in Path(sys.argv[1]).read_bytes(), "ThreadSanitizer's frames need more than the limit")
    def test_small_stacks(self):
        """Threads have the stack that they need, whatever `ulimit -s` says."""
        with Service(limits={resource.RLIMIT_STACK: 256 << 10}) as s:
            tokens = s.json("POST", "/tokenize", {"inputs": "a b"})[1][0]
            self.assertEqual(s.call("POST", "/embed", {"inputs": [token["id"] for token in tokens]})[0], 200)
            self.assertEqual(s.call("POST", "/embed", {"inputs": "a", "truncate": False})[0], 200)

    def test_header(self):
        with Service() as s:
            self.assertEqual(s.call("GET", "/health", headers={"X-Large": "x" * 60000})[0], 431)

    def test_descriptors(self):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, limit[1]))
        try:
            server = Service("--max-connections", "100")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        with server as s:
            clients = [s.socket() for _ in range(99)]
            self.assertEqual(s.call("GET", "/health")[0], 200)
            for raw in clients:
                raw.close()

    def test_ends_that_come_with_data(self):
        start = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
        kinds = (b"", start[:2], start[:30], start, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        with Service("--idle-timeout", "600", "--read-timeout", "600") as s:
            clients = [(s.socket(), sent) for sent in kinds * 16]
            for i, (raw, sent) in enumerate(clients):
                raw.sendall(sent)
                raw.shutdown(socket.SHUT_WR)
                if i % 2:
                    raw.close()
            s.wait_for(lambda values: values["senvec_connections"] <= 1)
            for raw, _ in clients:
                raw.close()
            self.assertEqual(s.metrics()["senvec_connections_timed_out_total"], 0)

    def sends_until_it_ends(self, raw, byte):
        with self.assertRaises(OSError):
            for _ in range(10 * service.PATIENCE):
                raw.sendall(byte)
                time.sleep(0.1)

    def test_slow_sender(self):
        with Service("--read-timeout", "1") as s, s.socket() as raw:
            raw.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            self.sends_until_it_ends(raw, b" ")
            self.assertEqual(s.metrics()["senvec_connections_timed_out_total"], 1)

    def test_request_line_that_does_not_end(self):
        with Service("--read-timeout", "1", "--idle-timeout", "600") as s:
            once = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
            starts = {"line": b"GET /hea", "header": once[:-4], "second line": once + b"GE", "second header": once + once[:-4]}
            unfinished, idle = {name: s.socket() for name in starts}, [s.socket() for _ in range(2)]
            idle[1].sendall(once)
            for name, raw in unfinished.items():
                if name.startswith("second"):
                    raw.sendall(once)
                    self.assertTrue(raw.recv(4096).startswith(b"HTTP/1.1 200"))
            start = time.monotonic()
            for name, raw in unfinished.items():
                raw.sendall(starts[name].removeprefix(once))
            for name, raw in unfinished.items():
                self.assertEqual(raw.recv(1), b"", name)
                self.assertGreater(time.monotonic() - start, 0.9, name)
                raw.close()
            with s.socket() as slow:
                self.sends_until_it_ends(slow, b"G")
            self.assertTrue(idle[1].recv(4096).startswith(b"HTTP/1.1 200"))
            for raw in idle:
                raw.sendall(once)
                self.assertTrue(raw.recv(4096).startswith(b"HTTP/1.1 200"))
                raw.close()
            self.assertEqual(s.metrics()["senvec_connections_timed_out_total"], len(starts) + 1)

    def test_busy(self):
        with Service("--policy", "fixed", "--max-queue", "1", *SLOW) as s:
            with s.socket() as raw:
                raw.sendall(post(LONG))
                s.wait_for(lambda values: values["senvec_in_flight_requests"] == 1)
                status, headers, data = s.call("POST", "/v1/embeddings", {"input": "a"})
                self.assertEqual((status, json.loads(data)["error"]["type"]), (429, "rate_limit_error"))
                seconds, ms = int(headers["retry-after"]), int(headers["retry-after-ms"])
                self.assertTrue(1000 <= ms and (seconds - 1) * 1000 < ms <= seconds * 1000, headers)
                self.assertIn(f"(--max-queue); try again in {ms / 1000:.3f} s", json.loads(data)["error"]["message"])
                self.assertEqual(s.metrics()['senvec_refused_total{reason="requests"}'], 1)
            s.wait_for(lambda values: values["senvec_in_flight_requests"] == 0)
            self.assertEqual(s.call("POST", "/v1/embeddings", {"input": "a"})[0], 200)

    def test_max_wait(self):
        with Service("--max-wait", "1ms", *SLOW) as s, s.socket() as raw:
            raw.sendall(post(LONG))  # nothing is before it; after that a batch of it is, nearly always
            s.wait_for(lambda values: values["senvec_in_flight_requests"] == 1)
            status = 0
            while s.metrics()["senvec_in_flight_requests"] == 1 and status != 429:
                status, headers, data = s.call("POST", "/embed", {"inputs": "a"})
            if status == 429:
                ms = int(headers["retry-after-ms"])
                self.assertIn(f"(--max-wait); try again in {ms / 1000:.3f} s", json.loads(data)["error"])
                self.assertEqual(s.metrics()['senvec_refused_total{reason="wait"}'], 1)
        for value, word in (("soon", "such as 50ms, 10s or 2m"), ("0", "from 1ms"), ("-1s", "from 1ms"), ("2d", "to 24h")):
            done = subprocess.run([service.SENVEC, "serve", f"--max-wait={value}"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(word, done.stderr)

    def test_bulk_of_many_clients_is_not_refused(self):
        """Also of one address, whose answers would take all of the memory: some of them wait, and none of its bodies does."""
        for clients, texts, memory in ((64, 32, 512), (16, 1000, 8)):
            body = {"input": ["a few words of text"] * texts}
            with Service("--max-memory", memory, "--max-wait", "24h") as s:
                answers = []
                threads = [threading.Thread(target=lambda s=s, body=body, answers=answers:
                                            answers.append(s.call("POST", "/v1/embeddings", body)[0])) for _ in range(clients)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                self.assertEqual(answers, [200] * clients)
                values = s.wait_for(lambda values: values["senvec_request_memory_bytes"] == 0)  # the last are counted, too
                self.assertEqual(values['senvec_queue_seconds_count{class="bulk"}'], clients)
                self.assertEqual(values['senvec_queue_seconds_count{class="interactive"}'], 0)
                self.assertEqual(sum(value for name, value in values.items() if name.startswith("senvec_refused_total")), 0)

    def test_deadline(self):
        with Service("--policy", "fixed", "-t", "1") as s:
            self.assertEqual(s.call("POST", "/embed", {"inputs": "a"}, {"X-Timeout-Ms": "5"})[0], 504)
            self.assertEqual(s.call("POST", "/embed", {"inputs": "a"}, {"X-Timeout-Ms": "86400000"})[0], 200)
            self.assertEqual(s.call("POST", "/embed", {"inputs": "a"}, {"X-Timeout-Ms": "soon"})[0], 400)
            self.assertEqual(s.metrics()['senvec_cancelled_total{reason="deadline"}'], 1)
        with Service("-t", "1") as s:  # the policy slo refuses what it can't do
            connection = s.connect()
            for _ in range(3):
                body = {"inputs": ["the " * 300] * 500}
                status, headers, _ = s.call("POST", "/embed", body, {"X-Timeout-Ms": "1"}, connection)
                self.assertEqual((status, "retry-after" in headers), (504, False))
            connection.close()
            self.assertEqual(s.metrics()['senvec_refused_total{reason="deadline"}'], 3)

    def test_clients_that_leave(self):
        with Service("--target-p99", "60000", *SLOW) as s:
            for i in range(3):
                with s.socket() as raw:
                    raw.sendall(post(LONG))
                    s.wait_for(lambda values, i=i: values["senvec_accepted_total"] == i + 1)
            values = s.wait_for(lambda values: values["senvec_in_flight_requests"] == 0)
            self.assertEqual(values["senvec_accepted_total"], 3)
            self.assertEqual(values['senvec_cancelled_total{reason="left"}'], 3)


class End(unittest.TestCase):
    def test_drain_answers_what_was_accepted(self):
        with Service("--policy", "fixed", "--drain-timeout", service.PATIENCE, *SLOW) as s:
            answers = []
            idle = s.socket()
            body = {"inputs": ["a " * 62] * 50}
            threads = [threading.Thread(target=lambda: answers.append(s.call("POST", "/embed", body))) for _ in range(8)]
            for thread in threads:
                thread.start()
            s.wait_for(lambda values: values["senvec_accepted_total"] == 8)
            s.process.send_signal(signal.SIGTERM)
            for thread in threads:
                thread.join()
            self.assertEqual([status for status, _, _ in answers], [200] * 8)
            self.assertEqual(s.process.wait(service.PATIENCE), 0)
            self.assertEqual(idle.recv(1), b"")
            idle.close()

    def test_drain_is_bounded(self):
        with Service("--target-p99", "60000", "--drain-timeout", "0", *SLOW, expect=1) as s, s.socket() as raw:
            raw.sendall(post(LONG))
            s.wait_for(lambda values: values["senvec_in_flight_requests"] == 1)
            s.process.send_signal(signal.SIGTERM)
            self.assertEqual(s.process.wait(service.PATIENCE), 1)  # 0, if it had waited for the end


if __name__ == "__main__":
    service.SENVEC, service.MODEL = sys.argv[1], sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
