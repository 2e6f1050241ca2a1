#!/usr/bin/env python3
"""traces_test SENVEC MODEL: spans of traced requests reach a collector (`senvec serve --otlp`), and one that fails, hangs or is
away costs no request anything."""
import socket
import subprocess
import sys
import threading
import time
import unittest

import service
from collector import Collector
from service import Service

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RECORDED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
RING = 2048  # requests that wait for a collector


def values(span):
    """Attributes by key; numbers come as strings."""
    return {item["key"]: next(iter(item["value"].values())) for item in span["attributes"]}


def traced(s, result):
    return lambda metrics: metrics[f'senvec_traced_requests_total{{result="{result}"}}']


class Traces(unittest.TestCase):
    def test_spans(self):
        """The server's span is a child of the caller's, its parts lie in it one behind the other."""
        with Collector() as collector:
            began = time.time_ns()
            with Service("--otlp", collector.address + "/", environment={"OTEL_SERVICE_NAME": 'search "eu"'}) as s:
                for headers in ({}, {"traceparent": f"00-{TRACE}-{PARENT}-00"}, {"traceparent": "nonsense"}):
                    s.call("POST", "/embed", {"inputs": "a"}, headers)
                self.assertEqual(s.call("POST", "/embed", {"inputs": ["a", "b"]}, {**RECORDED, "X-Request-Id": "r1"})[0], 200)
                self.assertEqual(s.call("POST", "/v1/embeddings", {"input": 1.5}, RECORDED)[0], 400)
                self.assertEqual(s.call("GET", "/nowhere", headers=RECORDED)[0], 404)
                s.wait_for(lambda metrics: metrics['senvec_traced_requests_total{result="sent"}'] == 3)
            ended = time.time_ns()
        spans = collector.spans()
        self.assertEqual([span["name"] for span in spans], ["POST /embed", "tokenize", "queue", "compute", "write",
                                                            "POST /v1/embeddings", "GET"])
        self.assertEqual({span["traceId"] for span in spans}, {TRACE})
        self.assertEqual(len({span["spanId"] for span in spans}), len(spans))
        server, parts = spans[0], spans[1:5]
        self.assertEqual([span["parentSpanId"] for span in spans], [PARENT] + [server["spanId"]] * 4 + [PARENT] * 2)
        self.assertEqual([span["kind"] for span in spans], [2, 1, 1, 1, 1, 2, 2])
        at = 0
        for span in (*parts, server):
            begin, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
            self.assertLessEqual(begin, end)
            if span is server:
                self.assertLessEqual(begin, int(parts[0]["startTimeUnixNano"]))
                self.assertEqual(end, at)
            else:
                self.assertLessEqual(at, begin)
            at = end
        self.assertTrue(began - 10**9 < int(server["startTimeUnixNano"]) <= at < ended + 10**9)
        self.assertEqual(values(server), {"http.request.method": "POST", "http.route": "/embed",
                                          "http.response.status_code": "200", "senvec.request_id": "r1",
                                          "senvec.model": "tiny", "senvec.texts": "2", "senvec.tokens": "6",
                                          "senvec.cached_texts": "1"})
        self.assertEqual(values(spans[5])["http.response.status_code"], "400")
        self.assertNotIn("http.route", values(spans[6]))
        resource = values(collector.bodies[0]["resourceSpans"][0]["resource"])
        self.assertEqual(resource["service.name"], 'search "eu"')

    def test_sent_at_the_end(self):
        """What waits when the server is told to end is sent before it ends."""
        with Collector() as collector:
            with Service("--otlp", collector.address) as s:
                s.call("POST", "/embed", {"inputs": "a"}, RECORDED)
            self.assertEqual(len(collector.spans()), 5)

    def test_sent_again(self):
        """A collector that has too much to do gets the same spans later; one that refuses them doesn't."""
        with Collector(answers=[503, 429, 400]) as collector:
            with Service("--otlp", collector.address) as s:
                s.call("POST", "/embed", {"inputs": "a"}, RECORDED)
                s.wait_for(lambda metrics: metrics['senvec_traced_requests_total{result="refused"}'] == 1)
                s.call("POST", "/embed", {"inputs": "b"}, RECORDED)
                s.wait_for(lambda metrics: metrics['senvec_traced_requests_total{result="sent"}'] == 1)
        ids = [[span["spanId"] for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]] for body in collector.refused]
        self.assertEqual(ids, [ids[0]] * 3)
        self.assertEqual(len(collector.bodies), 1)
        self.assertNotIn(ids[0][0], {span["spanId"] for span in collector.spans()})

    def test_collector_hangs(self):
        """Requests are answered as ever; what doesn't fit is dropped and counted; the server ends."""
        held = threading.Event()
        with Collector(held=held) as collector:
            with Service("--otlp", collector.address) as s:
                connection = s.connect()
                for _ in range(RING + 50):
                    self.assertEqual(s.call("GET", "/health", headers=RECORDED, connection=connection)[0], 200)
                connection.close()
                s.wait_for(lambda metrics: metrics['senvec_traced_requests_total{result="full"}'] == 50)
                self.assertEqual(s.metrics()['senvec_traced_requests_total{result="sent"}'], 0)
            held.set()

    def test_nobody_listens(self):
        with socket.socket() as placeholder:
            placeholder.bind(("127.0.0.1", 0))
            with Service("--otlp", f"http://127.0.0.1:{placeholder.getsockname()[1]}") as s:
                for _ in range(3):
                    self.assertEqual(s.call("POST", "/embed", {"inputs": "a"}, RECORDED)[0], 200)

    def test_addresses(self):
        """A wrong address is refused; one in the environment may be meant for others."""
        for wrong in ("https://127.0.0.1:4318", "127.0.0.1:4318", "http://127.0.0.1:99999", "http://127.0.0.1/a?b", ""):
            result = subprocess.run([service.SENVEC, "serve", "-m", service.MODEL, "--port", "0", "--otlp", wrong],
                                    capture_output=True, text=True, check=False)
            self.assertNotEqual(result.returncode, 0, wrong)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
            self.assertIn(wrong, result.stderr)
        with Service(environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "https://example.org"}) as s:
            self.assertIn(b"OTEL_EXPORTER_OTLP_ENDPOINT: https://example.org", s.errors)
        with Collector() as collector:
            with Service(environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}) as s:
                s.call("POST", "/embed", {"inputs": "a"}, RECORDED)
            resource = values(collector.bodies[0]["resourceSpans"][0]["resource"])
            self.assertEqual((len(collector.spans()), resource["service.name"]), (5, "senvec"))


if __name__ == "__main__":
    service.SENVEC, service.MODEL = sys.argv[1], sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
