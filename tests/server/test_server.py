#!/usr/bin/env python3
"""test_server SENVEC MODEL: the server's APIs, limits and end, on the tiny model, by the standard library's client."""
import array
import base64
import json
import operator
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import service
from service import Service

DIMENSIONS = 32
# A server that LONG keeps busy for half a minute, on a fast machine; whoever waits for its end gives up sooner.
SLOW = ("-t", "1", "--cpu", "ref", "-p", "fp32")
LONG = json.dumps({"inputs": ["a " * 62] * 20000}).encode()
TEXTS = ["the quick brown fox", "", "a", "it was the best of times, it was the worst of times", "the",
         "\u00e9t\u00e9 \u6f22\u5b57"]


def post(body):
    return b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def floats(data):
    return array.array("f", data)


def embedded(texts):
    """What `senvec embed` gives: a list of arrays of float32."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    result = subprocess.run([service.SENVEC, "embed", "-m", service.MODEL, "--key", "text", "--format", "f32", "-"],
                            input=lines, capture_output=True, check=True)
    values = floats(result.stdout)
    return [values[i:i + DIMENSIONS] for i in range(0, len(values), DIMENSIONS)]


class Apis(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service("--target-p99", "60000")
        cls.expected = embedded(TEXTS)

    @classmethod
    def tearDownClass(cls):
        assert cls.service.stop() == 0, cls.service.errors

    def post(self, path, body, headers=None):
        status, answer = self.service.json("POST", path, body, headers)
        self.assertEqual(status, 200, answer)
        return answer

    def same(self, vectors):
        self.assertEqual([floats(v) for v in vectors], self.expected)

    def test_openai(self):
        answer = self.post("/v1/embeddings", {"input": TEXTS, "model": "any", "user": "me"})
        self.assertEqual([item["index"] for item in answer["data"]], list(range(len(TEXTS))))
        self.assertEqual({item["object"] for item in answer["data"]}, {"embedding"})
        self.same([item["embedding"] for item in answer["data"]])
        self.assertEqual(answer["usage"]["prompt_tokens"], answer["usage"]["total_tokens"])
        self.assertGreater(answer["usage"]["total_tokens"], 2 * len(TEXTS))
        answer = self.post("/v1/embeddings/", {"input": TEXTS, "encoding_format": "base64"})
        self.same([base64.b64decode(item["embedding"]) for item in answer["data"]])
        answer = self.post("/embeddings", {"input": TEXTS[0], "encoding_format": None, "dimensions": None})
        self.assertEqual(floats(answer["data"][0]["embedding"]), self.expected[0])

    def test_dimensions(self):
        kept = self.expected[0][:5]
        length = sum(x * x for x in kept) ** 0.5
        for path, name in (("/v1/embeddings", "input"), ("/embed", "inputs"), ("/api/embed", "input")):
            answer = self.post(path, {name: TEXTS[:2], "dimensions": 5})
            vectors = answer if path == "/embed" else answer.get("embeddings") or [d["embedding"] for d in answer["data"]]
            self.assertEqual([len(v) for v in vectors], [5, 5])
            for x, y in zip(vectors[0], kept):
                self.assertAlmostEqual(x, y / length, 6)

    def test_models(self):
        _, answer = self.service.json("GET", "/v1/models")
        name = answer["data"][0]["id"]
        self.assertEqual(name, "tiny")
        self.assertEqual(self.service.json("GET", f"/v1/models/{name}")[1]["object"], "model")
        self.assertEqual(self.service.json("GET", "/v1/models/other")[0], 404)

    def test_tei(self):
        self.same(self.post("/embed", {"inputs": TEXTS}))
        self.same(self.post("/", {"inputs": TEXTS, "truncate": True, "normalize": True}))
        self.assertEqual(floats(self.post("/embed", {"inputs": TEXTS[0]})[0]), self.expected[0])
        answer = self.post("/similarity", {"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS}})
        self.assertEqual(len(answer), len(TEXTS))
        self.assertAlmostEqual(answer[0], 1, 6)
        info = self.service.json("GET", "/info")[1]
        self.assertEqual(info["model_type"], {"embedding": {"pooling": "mean"}})
        self.assertEqual(self.service.call("GET", "/health")[0], 200)

    def test_ollama(self):
        answer = self.post("/api/embed", {"model": "m", "input": TEXTS, "keep_alive": "5m", "options": {}})
        self.same(answer["embeddings"])
        self.assertGreater(answer["prompt_eval_count"], 0)
        self.assertEqual(floats(self.post("/api/embeddings", {"prompt": TEXTS[0]})["embedding"]), self.expected[0])
        self.assertEqual(self.service.json("GET", "/api/tags")[1]["models"][0]["name"], "tiny")

    def test_raw_floats(self):
        for path, name in (("/v1/embeddings", "input"), ("/embeddings", "input"), ("/embed", "inputs"), ("/", "inputs"),
                           ("/api/embed", "input"), ("/api/embeddings", "prompt")):
            texts = TEXTS[0] if name == "prompt" else TEXTS
            status, headers, data = self.service.call("POST", path, {name: texts}, {"Accept": "application/octet-stream"})
            self.assertEqual((status, headers["content-type"]), (200, "application/octet-stream"), path)
            self.assertEqual(data, b"".join(v.tobytes() for v in self.expected[:1 if name == "prompt" else None]), path)
        _, document = self.service.json("GET", "/openapi.json")
        described = {path for path, methods in document["paths"].items() for method in methods.values()
                     if "application/octet-stream" in method["responses"].get("200", {}).get("content", {})}
        self.assertEqual(described, {"/v1/embeddings", "/embeddings", "/embed", "/api/embed", "/api/embeddings"})

    def test_token_ids(self):
        tokens = self.post("/tokenize", {"inputs": [TEXTS[0], TEXTS[3]]})
        ids = [[token["id"] for token in text] for text in tokens]
        answer = self.post("/v1/embeddings", {"input": ids})
        self.assertEqual(floats(answer["data"][0]["embedding"]), self.expected[0])
        self.assertEqual(floats(answer["data"][1]["embedding"]), self.expected[3])
        answer = self.post("/v1/embeddings", {"input": ids[0]})
        self.assertEqual(floats(answer["data"][0]["embedding"]), self.expected[0])
        inner = self.post("/tokenize", {"inputs": TEXTS[0], "add_special_tokens": False})[0]
        self.assertEqual([token["id"] for token in inner], ids[0][1:-1])
        for wrong in ([9906, 1917], [100257], [[9906, 1917]], [ids[0][1:-1]], [ids[0], [5]], ids[0][:-1]):
            status, answer = self.service.json("POST", "/v1/embeddings", {"input": wrong})
            self.assertEqual(status, 400, wrong)
            self.assertIn("another model's tokenizer", answer["error"]["message"])

    def test_mistakes(self):
        cases = [
            ("/v1/embeddings", b"{", 400, "line 1"),
            ("/v1/embeddings", b"", 400, "valid JSON"),
            ("/v1/embeddings", b"[]", 400, "object"),
            ("/v1/embeddings", b'{"input":"\xff"}', 400, "valid JSON"),
            ("/v1/embeddings", b'{"input":"a","input":"b"}', 400, "duplicate"),
            ("/v1/embeddings", b"[" * 100000, 400, "valid JSON"),
            ("/v1/embeddings", {}, 422, "input is missing"),
            ("/v1/embeddings", {"input": None}, 422, "input is missing"),
            ("/v1/embeddings", {"input": []}, 400, "empty list"),
            ("/v1/embeddings", {"input": [{}]}, 400, "input[0]"),
            ("/v1/embeddings", {"input": ["a", "b", 3]}, 400, "input[2]"),
            ("/v1/embeddings", {"input": [101, "a"]}, 400, "item 1"),
            ("/v1/embeddings", {"input": [[]]}, 400, "input[0]"),
            ("/v1/embeddings", {"input": [-1]}, 400, "no token -1"),
            ("/v1/embeddings", {"input": "a", "encoding_format": "hex"}, 400, "encoding_format"),
            ("/v1/embeddings", {"input": "a", "dimensions": 0}, 400, "1 to 32"),
            ("/v1/embeddings", {"input": "a", "dimensions": 33}, 400, "1 to 32"),
            ("/v1/embeddings", {"input": "a", "user": 5}, 400, "user"),
            ("/embed", {"inputs": "a", "normalize": "no"}, 422, "normalize"),
            ("/embed", {"inputs": "the " * 500, "truncation_direction": "Left"}, 413, "start"),
            ("/embed", {"inputs": "a", "truncation_direction": "up"}, 400, "truncation_direction"),
            ("/v1/embeddings", {"input": "a", "output_dtype": "int4"}, 400, "output_dtype"),
            ("/v1/embeddings", {"input": "a", "output_dimension": 33}, 400, "output_dimension"),
            ("/v1/embeddings", {"input": "a", "output_dtype": "int8", "normalize": False}, 422, "int8"),
            ("/v1/embeddings", {"input": "a", "embedding_type": []}, 400, "embedding_type"),
            ("/v1/embeddings", {"input": "a", "embedding_type": ["float", "binary"]}, 422, "embedding_type"),
            ("/v1/embeddings", {"input": "a", "late_chunking": True}, 422, "late_chunking"),
            ("/v1/embeddings", {"input": "a", "return_multivector": True}, 422, "return_multivector"),
            ("/v1/embeddings", {"input": "a", "add_special_tokens": False}, 422, "add_special_tokens"),
            ("/v1/embeddings", {"input": "the " * 500, "truncation": False}, 413, "input 0"),
            ("/v1/embeddings", {"input": "the " * 500, "truncate": "NONE"}, 413, "input 0"),
            ("/v1/embeddings", {"input": [{"image": "a"}]}, 400, "input[0]"),
            ("/v1/embeddings", {"input": [{"text": "a"}, {"image": "a"}]}, 400, "input[1]"),
            ("/similarity", {"inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": 1}, 422, "parameters"),
            ("/embed", {"inputs": "a", "truncate": "yes"}, 400, "truncate"),
            ("/embed", {"inputs": "a", "truncate": 1}, 422, "truncate"),
            ("/embed", {"inputs": "a", "prompt_name": "query"}, 422, "prompt_name"),
            ("/embed", {"inputs": ["a", "the " * 500], "truncate": False}, 413, "input 1"),
            ("/similarity", {"inputs": "a"}, 422, "source_sentence"),
            ("/similarity", {"inputs": {"source_sentence": "a", "sentences": ["b", 1]}}, 400, "sentences[1]"),
            ("/api/embeddings", {"prompt": ["a"]}, 400, "prompt"),
            ("/nothing", {"input": "a"}, 404, "openapi.json"),
            ("/health", {"input": "a"}, 405, "GET"),
        ]
        connection = self.service.connect()
        for path, body, expected, word in cases:
            status, answer = self.service.json("POST", path, body, connection=connection)
            error = answer["error"]
            message = error if isinstance(error, str) else error["message"]
            self.assertEqual(status, expected, (body if len(str(body)) < 200 else path, answer))
            self.assertIn(word, message)
        connection.close()
        self.assertEqual(self.post("/embed", {"inputs": ["the " * 500]})[0], self.post("/embed", {"inputs": "the " * 400})[0])

    def test_errors_in_the_dialect_of_the_path(self):
        for path, kind in (("/v1/nothing", "openai"), ("/nothing", "tei"), ("/api/nothing", "ollama"), ("/api/tags", "ollama"),
                           ("/v1/models/", "openai")):
            status, answer = self.service.json("POST", path, {})
            self.assertIn(status, (404, 405))
            self.assertEqual(isinstance(answer["error"], dict), kind == "openai", (path, answer))
            self.assertEqual("error_type" in answer, kind == "tei", (path, answer))

    def test_headers(self):
        _, headers, _ = self.service.call("POST", "/embed", {"inputs": "a b"}, {"X-Request-Id": "my-id.1"})
        self.assertEqual(headers["x-request-id"], "my-id.1")
        for name in ("x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time"):
            self.assertGreaterEqual(float(headers[name]), 0)
        self.assertEqual((headers["x-compute-characters"], headers["x-compute-type"]), ("3", "cpu"))
        for texts, cut in (("a b", "0"), (["a", "the " * 500, "the " * 400], "2")):
            self.assertEqual(self.service.call("POST", "/embed", {"inputs": texts})[1]["x-truncated"], cut)
        _, headers, _ = self.service.call("POST", "/embed", {"inputs": "a"}, {"X-Request-Id": "no\ttabs"})
        self.assertRegex(headers["x-request-id"], "^[0-9a-f]{16}$")
        self.assertEqual(self.service.call("HEAD", "/health")[0], 200)

    def test_bodies_in_pieces(self):
        connection = self.service.connect()
        body = json.dumps({"inputs": TEXTS}).encode()
        connection.request("POST", "/embed", iter([body[i:i + 7] for i in range(0, len(body), 7)]),
                           {"Transfer-Encoding": "chunked"}, encode_chunked=True)
        self.same(json.loads(connection.getresponse().read()))
        connection.close()
        with self.service.socket() as raw:
            head = f"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode()
            raw.sendall(head)
            self.assertTrue(raw.recv(100).startswith(b"HTTP/1.1 100"))
            for i in range(len(body)):
                raw.sendall(body[i:i + 1])
            self.assertTrue(raw.recv(100).startswith(b"HTTP/1.1 200"))

    def test_pipelined_and_half_closed(self):
        with self.service.socket() as raw:
            raw.sendall(post(b'{"inputs":"the"}') * 5)
            raw.shutdown(socket.SHUT_WR)
            data = b""
            while chunk := raw.recv(65536):
                data += chunk
        self.assertEqual(data.count(b"HTTP/1.1 200 OK"), 5)

    def test_openapi_names_what_there_is(self):
        _, document = self.service.json("GET", "/openapi.json")
        self.assertEqual(document["openapi"], "3.0.3")
        for path, methods in document["paths"].items():
            for method in methods:
                body = b"{}" if method == "post" else None
                status = self.service.call(method.upper(), path.replace("{model}", "tiny"), body)[0]
                self.assertIn(status, (200, 400, 422), path)
        status, headers, page = self.service.call("GET", "/")
        self.assertEqual((status, headers["content-type"]), (200, "text/html; charset=utf-8"))
        self.assertIn(b"<title>senvec</title>", page)

    def test_many_callers(self):
        failures = []

        def call(seed):
            connection = self.service.connect()
            for i in range(25):
                first, count = (seed + i) % len(TEXTS), 1 + (seed * i) % 40
                texts = [TEXTS[(first + k) % len(TEXTS)] for k in range(count)]
                status, _, data = self.service.call("POST", "/embed", {"inputs": texts},
                                                    {"Accept": "application/octet-stream"}, connection)
                expected = b"".join(self.expected[(first + k) % len(TEXTS)].tobytes() for k in range(count))
                if status != 200 or data != expected:
                    failures.append((status, texts))
            connection.close()

        threads = [threading.Thread(target=call, args=(seed,)) for seed in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        values = self.service.metrics()
        self.assertEqual(values["senvec_in_flight_requests"], 0)
        self.assertEqual(values["senvec_accepted_total"], values["senvec_answered_total"] +
                         values['senvec_cancelled_total{reason="left"}'] + values['senvec_cancelled_total{reason="deadline"}'])
        self.assertGreaterEqual(values["senvec_request_seconds_count"], 300)
        self.assertEqual(values["senvec_request_seconds_count"], values['senvec_request_seconds_bucket{le="+Inf"}'])


class Access(unittest.TestCase):
    def test_key(self):
        with Service("--cors", "https://example.org", environment={"SENVEC_API_KEY": "s3cret"}) as s:
            body = {"inputs": "a"}
            for given in (None, "Bearer s3cre", "Bearer s3cret1", "s3cret", "Bearer "):
                status, answer, _ = s.call("POST", "/embed", body, {"Authorization": given} if given else {})
                self.assertEqual((status, answer["www-authenticate"]), (401, "Bearer"))
            status, answer, _ = s.call("POST", "/embed", body, {"Authorization": "Bearer s3cret"})
            self.assertEqual((status, answer["access-control-allow-origin"]), (200, "https://example.org"))
            for path in ("/health", "/metrics", "/", "/openapi.json"):
                self.assertEqual(s.call("GET", path)[0], 200)
            names = "authorization,content-type,x-stainless-os"  # openai's library for pages sends such
            status, answer, _ = s.call("OPTIONS", "/embed", None, {"Access-Control-Request-Headers": names})
            self.assertEqual((status, answer["access-control-allow-headers"]), (204, names))
            for method, path, allowed in (("GET", "/embed", "POST, OPTIONS"), ("POST", "/health", "GET, HEAD, OPTIONS")):
                status, answer, _ = s.call(method, path, None)
                self.assertEqual((status, answer["allow"]), (405, allowed))

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

    def test_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = Path(folder, "key.pem"), Path(folder, "cert.pem")
            try:
                subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                                "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=localhost"],
                               check=True, capture_output=True)
            except FileNotFoundError:
                self.skipTest("no openssl command")
            with Service("--tls-cert", certificate, "--tls-key", key) as s:
                self.assertTrue(s.address.startswith("https://"))
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


def variant(folder, modules=None):
    """A copy of the model in the folder, with these of its modules only."""
    target = Path(folder, "variant")
    shutil.copytree(service.MODEL, target, ignore=shutil.ignore_patterns("senvec-int8*"))
    if modules is not None:
        own = json.loads((target / "modules.json").read_text())
        (target / "modules.json").write_text(json.dumps([own[i] for i in modules]))
    return target


def length(vector):
    return sum(x * x for x in vector) ** 0.5


def scaled(vector, factor):
    return [x * factor for x in vector]


class Vectors(unittest.TestCase):
    """Vectors as they are asked for, from a model that normalises and from the same model without that step."""

    def near(self, one, other):
        self.assertEqual(len(one), len(other))
        for x, y in zip(one, other):
            self.assertAlmostEqual(x, y, 5)

    def test_normalize(self):
        with tempfile.TemporaryDirectory() as folder:
            with Service("-p", "fp32") as own, Service("-p", "fp32", model=variant(folder, [0, 1])) as pooled:
                expected = own.json("POST", "/embed", {"inputs": TEXTS})[1]
                raw = pooled.json("POST", "/v1/embeddings", {"input": TEXTS})[1]
                raw = [item["embedding"] for item in raw["data"]]
                self.assertNotAlmostEqual(length(raw[0]), 1, 1)
                self.near(scaled(raw[0], 1 / length(raw[0])), expected[0])
                for s in own, pooled:
                    for more in {}, {"normalize": True}, {"normalize": None}:
                        self.assertEqual(s.json("POST", "/embed", {"inputs": TEXTS, **more})[1], expected)
                    self.assertEqual(s.json("POST", "/embed", {"inputs": TEXTS, "normalize": False})[1], raw)
                    kept = s.json("POST", "/embed", {"inputs": TEXTS, "normalize": False, "dimensions": 7})[1]
                    self.assertEqual(kept, [vector[:7] for vector in raw])
                    kept = s.json("POST", "/embed", {"inputs": TEXTS, "dimensions": 7})[1]
                    self.assertAlmostEqual(length(kept[0]), 1, 5)
                    self.assertEqual(s.json("POST", "/api/embed", {"input": TEXTS})[1]["embeddings"], expected)
                    self.assertEqual(s.json("POST", "/api/embeddings", {"prompt": TEXTS[0]})[1]["embedding"], expected[0])
                    for path in "/similarity", "/":
                        cosines = s.json("POST", path, {"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS}})[1]
                        self.near(cosines, [sum(map(operator.mul, expected[0], vector)) for vector in expected])
                # Both ways in one batch.
                answers = {}

                def ask(normalize):
                    answers[normalize] = pooled.json("POST", "/embed", {"inputs": TEXTS * 50, "normalize": normalize})[1]

                threads = [threading.Thread(target=ask, args=[normalize]) for normalize in (True, False)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                self.assertEqual((answers[True], answers[False]), (expected * 50, raw * 50))

    def test_types(self):
        with tempfile.TemporaryDirectory() as folder, Service(model=variant(folder, [0, 1])) as s:
            vectors = s.json("POST", "/embed", {"inputs": TEXTS})[1]  # of length 1
            steps = [[(x + 1) / (2 / 255) for x in vector] for vector in vectors]  # 8 / sqrt(32) > 1: the range is -1 to 1
            bits = [[int("".join("1" if x > 0 else "0" for x in vector[i:i + 8]), 2) for i in range(0, 32, 8)]
                    for vector in vectors]
            types = {"int8": ("b", [[int(x - 128) for x in vector] for vector in steps]),
                     "uint8": ("B", [[int(x) for x in vector] for vector in steps]),
                     "binary": ("b", [[x - 128 for x in vector] for vector in bits]), "ubinary": ("B", bits)}
            for member in "output_dtype", "embedding_type":
                for name, (code, expected) in types.items():
                    body = {"input": TEXTS, member: name}
                    answer = s.json("POST", "/v1/embeddings", body)[1]
                    self.assertEqual([item["embedding"] for item in answer["data"]], expected, name)
                    answer = s.json("POST", "/v1/embeddings", {**body, "encoding_format": "base64"})[1]
                    self.assertEqual([list(array.array(code, base64.b64decode(item["embedding"]))) for item in answer["data"]],
                                     expected, name)
                    data = s.call("POST", "/v1/embeddings", body, {"Accept": "application/octet-stream"})[2]
                    self.assertEqual(list(array.array(code, data)), sum(expected, []), name)
            answer = s.json("POST", "/v1/embeddings", {"input": "a", "embedding_type": ["ubinary"], "dimensions": 9})[1]
            self.assertEqual(answer["data"][0]["embedding"], [bits[2][0], bits[2][1] & 0x80])
            answer = s.json("POST", "/v1/embeddings", {"input": ["a"], "embedding_type": "base64", "output_dimension": 4})[1]
            self.assertEqual(len(base64.b64decode(answer["data"][0]["embedding"])), 16)

    def test_forms_of_texts(self):
        with Service("-p", "fp32") as s:
            expected = s.json("POST", "/v1/embeddings", {"input": ["a", "the"]})[1]["data"]
            for texts in [{"text": "a"}, {"text": "the"}], [{"text": "a"}, "the"], ["a", {"text": "the"}]:
                self.assertEqual(s.json("POST", "/v1/embeddings", {"input": texts})[1]["data"], expected)
            self.assertEqual(s.json("POST", "/v1/embeddings", {"input": {"text": "a"}})[1]["data"], expected[:1])
            harmless = {"truncation": True, "truncate": "END", "late_chunking": False, "add_special_tokens": True,
                        "normalized": True, "input_type": None, "output_dtype": "float", "embedding_type": "float"}
            self.assertEqual(s.json("POST", "/v1/embeddings", {"input": ["a", "the"], **harmless})[1]["data"], expected)


class Framing(unittest.TestCase):
    """Requests that a proxy may understand otherwise: 400, and what comes behind isn't read as a request."""
    BODY, CHUNKED = b'{"inputs":"a"}', b'e\r\n{"inputs":"a"}\r\n0\r\n\r\n'
    NEXT = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: smuggled\r\n\r\n"
    OURS = [  # with a word of the message
        (b"1.1\r\nHost: x\r\nContent-Length: 14\r\nContent-Length: 15", BODY, "more than one Content-Length"),
        (b"1.1\r\nHost: x\r\nContent-Length: 0\r\ncontent-length: 14", BODY, "more than one Content-Length"),
        (b"1.1\r\nHost: x\r\nContent-Length: 14\r\nTransfer-Encoding: chunked", CHUNKED, "both"),
        (b"1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 14", CHUNKED, "both"),
        (b"1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity", CHUNKED, "Transfer-Encoding"),
        (b"1.0\r\nHost: x\r\nTransfer-Encoding: chunked", CHUNKED, "HTTP/1.0"),
        (b"1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 14", BODY, "more than one Host"),
        (b"1.1\r\nHost: x y\r\nContent-Length: 14", BODY, "Host must be"),
        (b"1.1\r\nHost: x\r\nBad(Name: a\r\nContent-Length: 14", BODY, "name"),
    ]
    LIBRARYS = [  # or ours, by the library's version
        (b"1.1\r\nContent-Length: 14", BODY),
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
            status, headers, _ = s.call("POST", "/v1/embeddings", b'{"input":[' + b"1," * 80000 + b"1]}")
            self.assertEqual((status, headers["retry-after"]), (429, "1"))  # over the memory for requests
            self.assertEqual(s.call("POST", "/embed", {"inputs": "a"})[0], 200)
            self.assertEqual(s.metrics()["senvec_request_memory_bytes"], 0)

    def test_header_and_connections(self):
        with Service("--max-connections", "4", "--idle-timeout", "2") as s:
            self.assertEqual(s.call("GET", "/health", headers={"X-Large": "x" * 60000})[0], 431)
            start = time.monotonic()
            idle = [s.socket() for _ in range(4)]
            self.assertEqual(s.call("GET", "/health")[0], 200)  # has to wait until the idle ones are closed
            self.assertGreater(time.monotonic() - start, 1.9)
            for raw in idle:
                self.assertEqual(raw.recv(1), b"")
                raw.close()

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
                self.assertTrue(0 < ms and (seconds - 1) * 1000 < ms <= seconds * 1000 + 1, headers)
            s.wait_for(lambda values: values["senvec_in_flight_requests"] == 0)
            self.assertEqual(s.call("POST", "/v1/embeddings", {"input": "a"})[0], 200)

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
