"""A server for a test: started on a free port, spoken to, and ended."""
import array
import http.client
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
import unittest
from pathlib import Path

SENVEC, MODEL = "", ""
PATIENCE = 300  # seconds until a test gives up: nothing takes that long, on whatever machine

DIMENSIONS = 32  # of the tiny model
# Many words, each of which is a token of the tiny models.
WORDS = "light water stone river garden window music bread train north cloud paper winter summer".split() * 20
TEXTS = ["the quick brown fox", "", "a", "it was the best of times, it was the worst of times", "the",
         "\u00e9t\u00e9 \u6f22\u5b57"]


def floats(data):
    return array.array("f", data)


def embedded(texts):
    """What `senvec embed` gives: a list of arrays of float32."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    result = subprocess.run([SENVEC, "embed", "-m", MODEL, "--key", "text", "--format", "f32", "-"],
                            input=lines, capture_output=True, check=True)
    values = floats(result.stdout)
    return [values[i:i + DIMENSIONS] for i in range(0, len(values), DIMENSIONS)]


def certificate(folder):
    """(certificate, key): new PEM files in a folder, for localhost. Raises SkipTest where there is no openssl."""
    made, key = Path(folder, "cert.pem"), Path(folder, "key.pem")
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        key, "-out", made, "-days", "1", "-subj", "/CN=localhost"], check=True, capture_output=True)
    except FileNotFoundError:
        raise unittest.SkipTest("no openssl command") from None
    return made, key


class Service:
    """A `senvec serve` process. `with Service("--policy", "fixed") as service: ...`; leaving it sends SIGTERM and expects 0."""

    def __init__(self, *arguments, environment=None, model=None, expect=0, limits=None):
        command = [SENVEC, "serve", "-m", str(model or MODEL), "--port", "0", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env={**os.environ, **(environment or {})},
                                        preexec_fn=lambda: [resource.setrlimit(what, (most, most))
                                                            for what, most in (limits or {}).items()])
        self.expect = expect
        self.errors = b""
        found = None
        while not found:  # there may be a warning before, that int8 is calibrated first
            line = self.process.stderr.readline()
            if not line:
                raise AssertionError(f"exit code {self.process.wait()}: {self.errors.decode()}")
            self.errors += line
            found = re.search(rb"listening on (\S+)", line)
        self.address = found[1].decode()
        self.port = int(self.address.rsplit(":", 1)[1]) if "://" in self.address else None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.errors += line

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.process.kill()
        code = self.stop()
        if kind is None and code != self.expect:
            raise AssertionError(f"exit code {code}: {self.errors.decode()}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def connect(self, timeout=PATIENCE):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def socket(self, timeout=PATIENCE):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def socket_from(self, address, timeout=PATIENCE):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout, source_address=(address, 0))

    def call(self, method, path, body=None, headers=None, connection=None):
        """(status, headers with lower-case names, body)"""
        own = connection or self.connect()
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        try:
            own.request(method, path, data, headers or {})
            answer = own.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            if not connection:
                own.close()

    def json(self, method, path, body=None, headers=None, connection=None):
        status, _, data = self.call(method, path, body, headers, connection)
        return status, json.loads(data)

    def wait_for(self, true):
        """The metrics, as soon as `true` says so of them."""
        until = time.monotonic() + PATIENCE
        while not true(values := self.metrics()):
            assert time.monotonic() < until, values
            time.sleep(0.02)
        return values

    def metrics(self):
        """Name with labels -> value; every line must be as Prometheus wants it."""
        status, headers, data = self.call("GET", "/metrics")
        assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
        values, types = {}, {}
        for line in data.decode().splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in types and kind in ("counter", "gauge", "histogram"), line
                types[name] = kind
            elif not line.startswith("# HELP "):
                found = re.fullmatch(r'([a-z_]+)(\{(?:[a-z]+="[^"\\\n]*",?)+\})? (\S+)', line)
                assert found, line
                base = re.sub(r"_(bucket|sum|count)$", "", found[1])
                assert found[1] in types or types.get(base) == "histogram", line
                assert found[1] + (found[2] or "") not in values, line
                values[found[1] + (found[2] or "")] = float(found[3])
        return values
