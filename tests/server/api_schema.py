#!/usr/bin/env python3
"""api_schema SENVEC MODEL [EXAMPLES]: what machines read about the server is right. /openapi.json is valid OpenAPI, a fuzzer
that is driven by it finds no answer that it doesn't describe, no 500, and nothing accepted that it forbids; /metrics is as
Prometheus reads it, and the counters add up to what was done; traces are what OpenTelemetry's schema says.

The packages are in tests/server/requirements.txt; without them the test is skipped.
"""
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import service
from collector import Collector
from service import Service

try:
    import openapi_spec_validator
    import schemathesis
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
    from prometheus_client.parser import text_string_to_metric_families
except ImportError as missing:
    print(f"SKIP: {missing}; pip install -r tests/server/requirements.txt")
    sys.exit(77)


def metrics(server):
    """(name, labels) -> value."""
    families = list(text_string_to_metric_families(server.call("GET", "/metrics")[2].decode()))
    assert all(family.documentation and family.type in ("counter", "gauge", "histogram") for family in families)
    values = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families
              for sample in family.samples}
    assert len(values) == sum(len(family.samples) for family in families)
    return values


def total(values, name):
    return sum(value for (sample, _), value in values.items() if sample == f"senvec_{name}")


def counters_add_up(server):
    before = metrics(server)
    answers = []
    for i in range(40):
        body, headers = {"inputs": ["a text", "another"] * (i % 4)}, {}
        if i % 4 == 1:
            headers["X-Timeout-Ms"] = "0"  # no such time: 400
        answers.append(server.call("POST", "/embed", body, headers))
    after = metrics(server)

    def grown(name):
        return total(after, name) - total(before, name)

    good = [json.loads(data) for status, _, data in answers if status == 200]
    assert len(good) == 20 and [status for status, _, _ in answers].count(400) == 20
    assert grown("accepted_total") == grown("answered_total") == grown("request_seconds_count") == 20
    assert grown("texts_total") == grown("batch_texts_total") == sum(map(len, good)) == 100
    assert grown("http_requests_total") == 40 + 1  # and the first /metrics, as it was counted after it was written
    assert grown("http_sent_bytes_total") > sum(len(data) for _, _, data in answers)
    assert total(after, "accepted_total") == total(after, "answered_total") + total(after, "cancelled_total")
    assert total(after, "in_flight_requests") == total(after, "queue_texts") == total(after, "request_memory_bytes") == 0
    for name in ("request_seconds", "queue_seconds", "compute_seconds", "request_texts"):
        series = {}  # by the labels beside "le"
        for (sample, labels), value in after.items():
            if sample == f"senvec_{name}_bucket":
                series.setdefault(tuple(label for label in labels if label[0] != "le"), []).append(value)
        assert all(buckets == sorted(buckets) for buckets in series.values())
        assert sum(buckets[-1] for buckets in series.values()) == total(after, f"{name}_count")


def openmetrics_are_the_same(server):
    """The other format, as a scraper asks for it: the same samples, and on the bucket of a traced request its trace."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for flags in ("00", "01", "00"):  # only one whose caller records it
        server.call("POST", "/embed", {"inputs": f"flags {flags}"}, {"traceparent": f"00-{trace}-00f067aa0ba902b7-{flags}"})
    accept = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"}
    status, headers, data = server.call("GET", "/metrics", headers=accept)
    assert status == 200 and headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = list(read_openmetrics(data.decode()))  # which is strict
    samples = [sample for family in families for sample in family.samples]
    assert {family.type for family in families} == {"counter", "gauge", "histogram", "info"}

    def key(name, labels):
        return name, tuple(sorted((k, float(v) if k == "le" else v) for k, v in labels.items()))

    plain = {key(name, dict(labels)) for name, labels in metrics(server)}
    new = {key("senvec_http_requests_total", {"method": "GET", "route": "/metrics", "status": "200"})}
    assert {key(sample.name, sample.labels) for sample in samples} | new == plain | new
    marked = [sample for sample in samples if sample.exemplar]
    assert [(sample.name, sample.exemplar.labels) for sample in marked] == [
        ("senvec_request_seconds_bucket", {"trace_id": trace})], marked
    exemplar = marked[0].exemplar
    assert exemplar.value <= float(marked[0].labels["le"]) and abs(float(exemplar.timestamp) - time.time()) < 600


def traces_are_otlp(collector):
    """By the schema's own reader, which takes no member that it doesn't know."""
    assert collector.bodies and not collector.refused
    for body in collector.bodies:
        message = json_format.ParseDict(body, ExportTraceServiceRequest())
        spans = message.resource_spans[0].scope_spans[0].spans
        assert [(span.name, span.kind) for span in spans][:2] == [("POST /embed", 2), ("tokenize", 1)], spans
        assert all(0 < span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)


def fuzz(server, examples):
    with tempfile.TemporaryDirectory() as folder:
        # Valid by its schema and refused all the same: ids of another tokenizer, and numbers that no double holds. 504 is right
        # where X-Timeout-Ms is short; that there was no 500 is read from /metrics.
        command = [Path(sys.executable).with_name("schemathesis"), "run", f"{server.address}/openapi.json", "--no-color",
                   "--exclude-path", "/predict", "--exclude-path", "/embed_sparse",  # of other models: always 424
                   "--exclude-checks", "positive_data_acceptance,not_a_server_error", "--max-examples", str(examples),
                   "--seed", "1", "--request-timeout", str(service.PATIENCE), "--suppress-health-check", "too_slow"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise AssertionError(result.stdout + result.stderr)
    print(next(line.strip() for line in result.stdout.splitlines() if "generated" in line))


def main():
    service.SENVEC, service.MODEL = sys.argv[1:3]
    with Collector() as collector, Service("--otlp", collector.address) as server:
        document = server.json("GET", "/openapi.json")[1]
        openapi_spec_validator.validate(document)
        counters_add_up(server)
        openmetrics_are_the_same(server)
        fuzz(server, int(sys.argv[3]) if len(sys.argv) > 3 else 50)
        values = metrics(server)
        assert not [labels for (name, labels), _ in values.items()
                    if name == "senvec_http_requests_total" and ("status", "500") in labels]
        server.wait_for(lambda values: values['senvec_traced_requests_total{result="sent"}'] > 0)
        traces_are_otlp(collector)
        print(f"schemathesis {schemathesis.__version__}: {total(values, 'http_requests_total'):.0f} requests, "
              f"{total(values, 'accepted_total'):.0f} accepted")


main()
