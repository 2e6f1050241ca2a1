#!/usr/bin/env python3
"""places_test SENVEC MODEL: more connections than there are places. No time limit of the server helps: they are an hour."""
import contextlib
import json
import sys
import time
import unittest

import service
from service import Service

PLACES = 40
PATIENT = ("--target-p99", "60000", "--max-connections", PLACES, "--idle-timeout", "3600", "--read-timeout", "3600",
           "--write-timeout", "3600")
HEAD = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"


class Places(unittest.TestCase):
    def occupy(self, server, address, count, sent=b""):
        held = []
        for _ in range(count):
            held.append(self.open.enter_context(server.socket_from(address)))
            held[-1].sendall(sent)
        return held

    def embed(self, server, connection=None):
        status, headers, _ = server.call("POST", "/embed", {"inputs": "a"}, connection=connection)
        self.assertIn(status, (200, 503))
        if status == 503:
            self.assertEqual((headers["retry-after"], headers["connection"]), ("1", "close"))
        return status

    def embed_in_time(self, server):
        until = time.monotonic() + service.PATIENCE
        while self.embed(server) != 200:
            self.assertLess(time.monotonic(), until)

    def test_silent_ones_of_one_address(self):
        for sent in (b"", b"GE"):
            with Service(*PATIENT) as s, contextlib.ExitStack() as self.open:
                kept = s.connect()
                self.assertEqual(self.embed(s, kept), 200)
                for _ in range(3):
                    self.occupy(s, "127.0.0.2", 2 * PLACES, sent)
                    for _ in range(3):
                        self.assertEqual(s.call("GET", "/health")[0], 200)
                        self.assertEqual(self.embed(s), 200)
                        self.assertEqual(self.embed(s, kept), 200)  # its place isn't taken: its address has few
                values = s.metrics()
                self.assertGreater(values["senvec_connections_displaced_total"], 5 * PLACES)
                self.assertLessEqual(values["senvec_connections"], PLACES + 10)
                kept.close()

    def test_half_sent_requests_of_one_address(self):
        for sent in (HEAD, HEAD + b"\r\n" + b" " * 500):
            with Service(*PATIENT) as s, contextlib.ExitStack() as self.open:
                self.occupy(s, "127.0.0.2", 3 * PLACES, sent)
                self.assertEqual(s.call("GET", "/health")[0], 200)  # whatever there is
                self.embed_in_time(s)
                self.assertEqual(s.call("GET", "/metrics")[0], 200)

    def test_one_too_many(self):
        """All places are in use, by the same address: 503 at once; /health is answered; and a place that is free is given."""
        with Service(*PATIENT) as s, contextlib.ExitStack() as self.open:
            held = self.occupy(s, "127.0.0.1", PLACES, HEAD + b"\r\n")
            until = time.monotonic() + service.PATIENCE
            while self.embed(s) != 503:  # the last of them have to be taken first
                self.assertLess(time.monotonic(), until)
            for _ in range(3):
                self.assertEqual(self.embed(s), 503)
                self.assertEqual(s.call("GET", "/health")[0], 200)
            held[0].close()
            self.embed_in_time(s)
            held[1].sendall(json.dumps({"inputs": "a"}).encode().ljust(1000))
            self.assertTrue(held[1].recv(100).startswith(b"HTTP/1.1 200"))

    def test_idle_ones_of_the_same_address(self):
        """A pool that is larger than the server: the connection that was idle for longest goes."""
        with Service(*PATIENT) as s, contextlib.ExitStack() as self.open:
            idle = self.occupy(s, "127.0.0.1", PLACES)
            self.assertEqual(s.call("GET", "/health")[0], 200)
            self.assertEqual(idle[0].recv(1), b"")


if __name__ == "__main__":
    service.MODEL = sys.argv.pop()
    service.SENVEC = sys.argv.pop()
    unittest.main(verbosity=2)
