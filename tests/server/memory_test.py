#!/usr/bin/env python3
"""memory_test SENVEC MODEL FAILING_MALLOC: what requests may take of the memory, and what happens where there is none."""
import contextlib
import http.client
import json
import os
import re
import resource
import struct
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import service
from service import Service

MB = 1 << 20
SANITIZED = b"__asan_init" in Path(sys.argv[1]).read_bytes() or b"__tsan_init" in Path(sys.argv[1]).read_bytes()


def status_of(server, name):
    """A size of /proc/PID/status in bytes."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(name + r":\s+(\d+)", text)[1]) << 10


def half_sent(server, address, size, sent):
    raw = server.socket_from(address)
    raw.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b" " * sent)
    return raw


class Requests(unittest.TestCase):
    @unittest.skipIf(SANITIZED, "a sanitizer keeps what is freed")
    def test_documents_cost_their_bytes(self):
        """Whatever stands in a body, it takes a multiple of its size, and all of that goes back."""
        values = {"objects": b'{"a":{}}', "empty objects": b"{}", "strings": b'"a"', "lists": b"[]", "nested": b"[[[[[]]]]]",
                  "numbers": b"1"}
        bodies = {name: b'{"inputs":["a"],"x":[' + b",".join([value] * (8 * MB // (len(value) + 1))) + b"]}"
                  for name, value in values.items()}
        bodies["members"] = b'{"inputs":["a"],"x":{' + b",".join(b'"%x":0' % i for i in range(800000)) + b"}}"
        bodies["names at the top"] = b'{"inputs":["a"],' + b",".join(b'"%x":0' % i for i in range(800000)) + b"}"
        bodies["escapes"] = b'{"inputs":["' + b"\\u00e9" * (8 * MB // 6) + b'"]}'
        bodies["a text"] = b'{"inputs":["' + b"ab " * (8 * MB // 3) + b'"]}'
        with Service("--target-p99", "60000") as s:
            self.assertEqual(s.call("POST", "/embed", {"inputs": ["a"]})[0], 200)
            before = status_of(s, "VmRSS")
            for name, body in bodies.items():
                for path in ("/embed", "/tokenize"):
                    refused = (name, path) == ("a text", "/tokenize")  # 80 bytes for each of its tokens
                    self.assertEqual(s.call("POST", path, body)[0], 413 if refused else 200, name)
                s.wait_for(lambda values: values["senvec_request_memory_bytes"] == 0)
                self.assertLess(status_of(s, "VmHWM") - before, 40 * MB, name)
            self.assertLess(status_of(s, "VmRSS") - before, 4 * MB)

    def test_what_never_fits(self):
        """413: the client is to send less, not to try again."""
        many, ids = {"inputs": ["a"] * 20000}, b'{"inputs":[' + b"2," * 1500000 + b"3]}"
        with Service("--target-p99", "60000", "--max-memory", "8", "--max-queue-texts", "10000") as s:
            for path, body in (("/embed", many), ("/tokenize", many), ("/embed", b" " * (4 * MB)),
                               ("/tokenize", {"inputs": ["a b c d e f g"] * 9999})):
                status, headers, answer = s.call("POST", path, body)
                self.assertEqual((status, headers.get("retry-after")), (413, None), answer)
            self.assertEqual(s.call("POST", "/embed", ids)[0], 200)  # one text of many ids: it is cut
            s.wait_for(lambda values: values["senvec_request_memory_bytes"] == 0)

    def test_half_sent_bodies(self):
        """One address can't take all of the memory with bodies that it doesn't finish; nor can many addresses."""
        with Service("--target-p99", "60000", "--max-memory", "64", "--read-timeout", "3000") as s:
            with contextlib.ExitStack() as stack:
                for i in range(12):
                    stack.enter_context(half_sent(s, "127.0.0.2", 12 * MB, 8 * MB))
                s.wait_for(lambda values: values["senvec_request_memory_bytes"] > 20 * MB)
                large = {"inputs": ["the quick brown fox " * 1000] * 100}  # 2 MB
                self.assertEqual(s.call("POST", "/embed", large)[0], 200)
                for i in range(30):
                    stack.enter_context(half_sent(s, f"127.0.1.{i}", 12 * MB, 8 * MB))
                for i in range(20):
                    self.assertEqual(s.call("POST", "/embed", {"inputs": ["a"] * 100})[0], 200)
                self.assertLess(s.metrics()["senvec_request_memory_bytes"], 64 * MB)
            s.wait_for(lambda values: values["senvec_request_memory_bytes"] == 0)

    def test_what_is_refused_is_given_back_at_once(self):
        with Service("--max-body", "4") as s, s.socket() as raw:
            raw.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for i in range(3):
                raw.sendall(b"100000\r\n" + b" " * MB + b"\r\n")
            s.wait_for(lambda values: values["senvec_request_memory_bytes"] >= 3 * MB)
            for i in range(2):
                raw.sendall(b"100000\r\n" + b" " * MB + b"\r\n")
            s.wait_for(lambda values: values["senvec_request_memory_bytes"] < MB)  # though the request isn't over

    def test_what_unpacks_is_counted(self):
        with Service() as s:
            head = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n"
            with contextlib.ExitStack() as stack:
                for _ in range(20):
                    stack.enter_context(s.socket()).sendall(head)
                s.wait_for(lambda values: values["senvec_request_memory_bytes"] > 20 * 40000)
            s.wait_for(lambda values: values["senvec_request_memory_bytes"] == 0)


class LargeBodies(unittest.TestCase):
    BODY = b'{"inputs":["a%s"]}' % ("\u0301" * (12 * MB)).encode()

    def measure(self, server, path):
        """How long the large request took, and the slowest of the small ones meanwhile."""
        times = []

        def ask():
            start = time.monotonic()
            times.append(server.call("POST", path, self.BODY)[0])
            times.append(time.monotonic() - start)

        thread, slowest = threading.Thread(target=ask), 0
        thread.start()
        while thread.is_alive():
            start = time.monotonic()
            self.assertEqual(server.call("GET", "/health")[0], 200)
            slowest = max(slowest, time.monotonic() - start)
        self.assertEqual(times[0], 200)
        return times[1], slowest

    def test_nobody_else_waits(self):
        """An HTTP thread that reads and tokenizes such a body has no time for others in most of its time."""
        with Service("--target-p99", "60000") as s:
            for path in ("/embed", "/tokenize"):
                tries = (self.measure(s, path) for _ in range(50))
                self.assertTrue(any(slowest < took / 4 for took, slowest in tries), path)

    def test_answers_are_the_same(self):
        texts = ["the quick brown fox " * (1 + i % 50) + "\u00e9\n\"" for i in range(2000)]
        with Service("--target-p99", "60000", "--drain-timeout", service.PATIENCE) as s:
            large = s.json("POST", "/embed", {"inputs": texts})[1]
            parts = [s.json("POST", "/embed", {"inputs": texts[i:i + 50]})[1] for i in range(0, 2000, 50)]
            self.assertEqual(large, sum(parts, []))
            for body, status in ((b'{"inputs":["%s"' % (b"a" * MB), 400), (b'{"x":"%s"}' % (b"a" * MB), 422)):
                self.assertEqual(s.call("POST", "/embed", body)[0], status)
            with contextlib.ExitStack() as stack:  # clients that leave, and a server that ends, in the middle
                for i in range(8):
                    raw = stack.enter_context(s.socket())
                    raw.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(self.BODY) + self.BODY)
                    if i % 2:
                        raw.close()


@unittest.skipIf(SANITIZED, "sanitizers bring an allocator of their own")
class OutOfMemory(unittest.TestCase):
    EXPECTED = {200, 413, 429, 500, 503}

    def ask(self, server, body, expected=None):
        try:
            status, _, data = server.call("POST", "/embed", body)
        except (http.client.HTTPException, OSError):  # there was no memory for a connection or an answer
            return None
        self.assertIn(status, self.EXPECTED, data)
        if status == 200 and expected:
            self.assertEqual(json.loads(data), expected)
        return status

    def test_an_allocation_that_fails(self):
        """It is the server's fault, never the client's; an answer is right or it is an error; and nothing is kept."""
        bodies = [{"inputs": ["a", "the quick \u00e9\n"] * 20, "x": {"a": [1, {}]}}, {"inputs": "the " * 20000}]
        with tempfile.NamedTemporaryFile() as number:
            number.write(bytes(8))
            number.flush()
            with Service("--target-p99", "60000", environment={"LD_PRELOAD": FAILING, "FAILING_MALLOC": number.name}) as s:
                right = [s.json("POST", "/embed", body)[1] for body in bodies]
                seen = {}
                for one_of in (200, 50, 10, 3):
                    os.pwrite(number.fileno(), struct.pack("q", one_of), 0)
                    for i in range(150):
                        status = self.ask(s, bodies[i % 2], right[i % 2])
                        seen[status] = seen.get(status, 0) + 1
                os.pwrite(number.fileno(), bytes(8), 0)
                self.assertGreater(seen[200], 100, seen)
                self.assertGreater(seen.get(503, 0), 20, seen)
                for body, vectors in zip(bodies, right):
                    self.assertEqual(s.json("POST", "/embed", body), (200, vectors))
                s.wait_for(lambda values: values["senvec_request_memory_bytes"] == 0)

    def test_a_limited_address_space(self):
        """Bodies of 1 to 32 MB where the process can't get so much: honest answers, and it lives."""
        with Service("--target-p99", "60000") as s:
            rest = status_of(s, "VmSize")
        for more in (4, 16, 40):
            limit = rest + more * MB
            with Service("--target-p99", "60000", limits={resource.RLIMIT_AS: limit}) as s:
                for size in (1, 4, 8, 16, 31):
                    for body in (b'{"inputs":"%s"}' % (b"A " * (size << 19)), b'{"inputs":["%s"]}' % (b"\\n" * (size << 19)),
                                 b'{"inputs":["a"],"x":[%s0]}' % (b"{}," * (size * MB // 3))):
                        self.ask(s, body)
                self.assertEqual(s.call("GET", "/health")[0], 200)
                self.assertEqual(s.call("POST", "/embed", {"inputs": "a"})[0], 200)
                s.wait_for(lambda values: values["senvec_request_memory_bytes"] == 0)


if __name__ == "__main__":
    FAILING = os.path.abspath(sys.argv.pop())
    service.MODEL = sys.argv.pop()
    service.SENVEC = sys.argv.pop()
    unittest.main(verbosity=2)
