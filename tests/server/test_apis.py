#!/usr/bin/env python3
"""test_apis SENVEC MODEL: what the server's APIs answer, on the tiny model, by the standard library's client."""
import array
import base64
import json
import operator
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import service
from service import DIMENSIONS, TEXTS, Service, embedded, floats


def post(body):
    return b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


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
        members = {"/v1/embeddings": "input", "/embeddings": "input", "/openai/v1/embeddings": "input",
                   "/openai/deployments/{model}/embeddings": "input", "/embed": "inputs", "/": "inputs", "/v1/embed": "texts",
                   "/v2/embed": "texts", "/api/embed": "input", "/api/embeddings": "prompt", "/vectors": "text"}
        for path, name in members.items():
            one = name in ("prompt", "text")
            body, accept = {name: TEXTS[0] if one else TEXTS}, {"Accept": "application/octet-stream"}
            status, headers, data = self.service.call("POST", path.replace("{model}", "any"), body, accept)
            self.assertEqual((status, headers["content-type"]), (200, "application/octet-stream"), path)
            self.assertEqual(data, b"".join(v.tobytes() for v in self.expected[:1 if one else None]), path)
        _, document = self.service.json("GET", "/openapi.json")
        described = {path for path, methods in document["paths"].items() for method in methods.values()
                     if "application/octet-stream" in method["responses"].get("200", {}).get("content", {})}
        self.assertEqual(described | {"/"}, set(members))

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

    def test_whole_texts_and_back(self):
        most = self.service.json("GET", "/info")[1]["max_input_length"]
        words = 10 * most
        tokens = self.post("/tokenize", {"inputs": ["the " * words, "a"]})
        self.assertEqual([len(text) for text in tokens], [words + 2, 3])
        self.assertEqual({token["text"] for token in tokens[0][1:-1]}, {"the"})
        self.assertEqual([token["special"] for token in tokens[1]], [True, False, True])
        ids = [[token["id"] for token in text] for text in tokens]
        self.assertEqual(self.post("/decode", {"ids": ids}), [" ".join(["the"] * words), "a"])
        self.assertEqual(self.post("/decode", {"ids": ids[1], "skip_special_tokens": False}), ["[CLS] a [SEP]"])
        for text in TEXTS[0], TEXTS[3], "":
            ids = [token["id"] for token in self.post("/tokenize", {"inputs": text})[0]]
            self.assertEqual(self.post("/decode", {"ids": ids}), [text])
        for ids, expected in ([10**6], 400), ([-1], 400), (["a"], 400), ([[1], 2], 400), ([], 400), (None, 422), ([[]], 200):
            self.assertEqual(self.service.json("POST", "/decode", {"ids": ids})[0], expected, ids)

    def test_mistakes(self):
        cases = [
            ("/v1/embeddings", b"{", 400, "line 1"),
            ("/v1/embeddings", b"", 400, "valid JSON"),
            ("/v1/embeddings", b"[]", 400, "object"),
            ("/v1/embeddings", b'{"input":"\xff"}', 400, "valid JSON"),
            ("/v1/embeddings", b'{"input":"a","input":"b"}', 400, "same name"),
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
            ("/embed", {"inputs": "a", "truncation_direction": "up"}, 400, "truncation_direction"),
            ("/embed", {"inputs": "a", "truncate": "END", "truncation_direction": "Left"}, 422, "truncation_direction"),
            ("/v1/embeddings", {"input": "a", "truncation": "START", "truncate": "END"}, 422, "truncation"),
            ("/embed", {"inputs": "the " * 500, "truncate": False, "truncation_direction": "Left"}, 413, "input 0"),
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
            ("/embed", {"inputs": "a", "prompt_name": "other"}, 422, "prompt_name"),
            ("/embed", {"inputs": "a", "prompt_name": 1}, 400, "prompt_name"),
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
                self.assertIn(status, (200, 204, 400, 422, 424, 501), path)
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
        values = self.service.wait_for(lambda values: values["senvec_request_memory_bytes"] == 0)  # the last are counted, too
        self.assertEqual(values["senvec_in_flight_requests"], 0)
        self.assertEqual(values["senvec_accepted_total"], values["senvec_answered_total"] +
                         values['senvec_cancelled_total{reason="left"}'] + values['senvec_cancelled_total{reason="deadline"}'])
        self.assertGreaterEqual(values["senvec_request_seconds_count"], 300)
        self.assertEqual(values["senvec_request_seconds_count"], values['senvec_request_seconds_bucket{le="+Inf"}'])


def variant(folder, modules=None, prompts=None):
    """A copy of the model in the folder, with these of its modules only, and with prompts."""
    target = Path(folder, "variant")
    shutil.copytree(service.MODEL, target, ignore=shutil.ignore_patterns("senvec-int8*"))
    if modules is not None:
        own = json.loads((target / "modules.json").read_text())
        (target / "modules.json").write_text(json.dumps([own[i] for i in modules]))
    if prompts is not None:
        (target / "config_sentence_transformers.json").write_text(json.dumps(prompts))
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
            types = {"int8": ("b", [[int(x) - 128 for x in vector] for vector in steps]),
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

    def test_prompts(self):
        prompts = {"prompts": {"query": "the best ", "passage": "it was ", "fox": "a fox "}, "default_prompt_name": "fox"}
        with tempfile.TemporaryDirectory() as folder, Service("-p", "fp32") as plain:
            texts = ["of times", "brown", ""]
            put = {prompt: plain.json("POST", "/embed", {"inputs": [prompt + text for text in texts]})[1]
                   for prompt in ("the best ", "it was ", "a fox ", "")}
            with Service("-p", "fp32", model=variant(folder, prompts=prompts)) as s:
                self.assertEqual(s.json("POST", "/embed", {"inputs": texts})[1], put["a fox "])
                for name, prompt in (("query", "the best "), ("passage", "it was "), ("fox", "a fox "), ("document", "")):
                    self.assertEqual(s.json("POST", "/embed", {"inputs": texts, "prompt_name": name})[1], put[prompt], name)
                for member, word, prompt in (("input_type", "query", "the best "), ("input_type", "document", "it was "),
                                             ("input_type", "passage", "it was "), ("task", "retrieval.query", "the best "),
                                             ("task", "fox", "a fox "), ("task", "text-matching", "a fox "),
                                             ("prompt_name", "passage", "it was "), ("task", None, "a fox ")):
                    answer = s.json("POST", "/v1/embeddings", {"input": texts, member: word})[1]
                    self.assertEqual([item["embedding"] for item in answer["data"]], put[prompt], (member, word))
                answer = s.json("POST", "/v1/embed", {"texts": texts, "input_type": "search_document"})[1]
                self.assertEqual(answer["embeddings"], put["it was "])
                query = plain.json("POST", "/embed", {"inputs": "the best times"})[1][0]
                expected = [sum(map(operator.mul, query, vector)) for vector in put["it was "]]
                for path, name in (("/rerank", "texts"), ("/v2/rerank", "documents")):
                    answer = s.json("POST", path, {"query": "times", name: texts})[1]
                    items = answer if path == "/rerank" else answer["results"]
                    for item in items:
                        self.assertAlmostEqual(item.get("score", item.get("relevance_score")), expected[item["index"]], 5)
                usage = s.json("POST", "/v1/embeddings", {"input": "of times"})[1]["usage"]
                whole = plain.json("POST", "/v1/embeddings", {"input": "a fox of times"})[1]["usage"]
                self.assertEqual(usage, whole)
                long = "a " * (plain.json("GET", "/info")[1]["max_input_length"] - 3)  # fits, but not behind a prompt
                self.assertEqual(plain.json("POST", "/embed", {"inputs": long, "truncate": False})[0], 200)
                self.assertEqual(s.json("POST", "/embed", {"inputs": long, "truncate": False})[0], 413)
                self.assertEqual(s.call("POST", "/embed", {"inputs": long})[1]["x-truncated"], "1")
                tokens = plain.json("POST", "/tokenize", {"inputs": ["the best " + text for text in texts]})[1]
                self.assertEqual(s.json("POST", "/tokenize", {"inputs": texts, "prompt_name": "query"})[1], tokens)
                tokens = plain.json("POST", "/tokenize", {"inputs": texts})[1]
                self.assertEqual(s.json("POST", "/tokenize", {"inputs": texts})[1], tokens)
                for s, known in ((s, '. Available prompts: ["query", "passage", "fox"]'), (plain, ", and no other")):
                    for path in ("/embed", "/tokenize"):
                        status, answer = s.json("POST", path, {"inputs": "a", "prompt_name": "other"})
                        self.assertEqual(status, 422)
                        self.assertTrue(answer["error"].endswith(f'no prompt "other"{known}'), answer)
            self.assertEqual(plain.json("POST", "/embed", {"inputs": texts, "prompt_name": "query"})[1], put[""])

    def test_ids_of_another_model(self):
        tokens = {0: b"the", 7: b" quick", 8: b" brown", 9: b" fox", 11: "\u00e9".encode()[:1], 12: "\u00e9".encode()[1:]}
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder, "table.tiktoken")
            table.write_text("".join(f"{base64.b64encode(token).decode()} {i}\n" for i, token in tokens.items()))
            with Service("-p", "fp32", "--token-table", table) as s:
                texts = ["the quick brown fox", "the", "\u00e9 fox"]
                wanted = s.json("POST", "/v1/embeddings", {"input": texts})[1]["data"]
                foreign = [[0, 7, 8, 9], [0], [11, 12, 9]]
                self.assertEqual(s.json("POST", "/v1/embeddings", {"input": foreign})[1]["data"], wanted)
                self.assertEqual(s.json("POST", "/v1/embeddings", {"input": foreign[0]})[1]["data"], wanted[:1])
                own = [[token["id"] for token in text] for text in s.json("POST", "/tokenize", {"inputs": texts[:2]})[1]]
                self.assertEqual(s.json("POST", "/v1/embeddings", {"input": own + [foreign[2]]})[1]["data"], wanted)
                for wrong in [[0, 5]], [[0], []], [[-1]], [[0, "a"]], [10**9]:
                    status, answer = s.json("POST", "/v1/embeddings", {"input": wrong})
                    self.assertEqual(status, 400, answer)
            for text in "", "dGhl 0\ndGhl 0\n", "dGhl\n", "dGh 0\n", "d*hl 0\n", "dGhl 99999999\n", "dGhl -1\n", "dGhl 1 2\n":
                table.write_text(text)
                result = subprocess.run([service.SENVEC, "serve", "-m", service.MODEL, "--port", "0", "--token-table", table],
                                        capture_output=True, timeout=service.PATIENCE)
                self.assertEqual((result.returncode, result.stderr.count(b"\n")), (1, 1), (text, result.stderr))

    def test_members_mean_the_same_everywhere(self):
        """Whoever invented a member: it is obeyed or refused on every route that gives vectors."""
        routes = {"/v1/embeddings": "input", "/embed": "inputs", "/api/embed": "input", "/api/embeddings": "prompt",
                  "/v1/embed": "texts", "/v2/embed": "texts", "/": "inputs"}

        def vector(answer, path):
            if path == "/v1/embeddings":
                return answer["data"][0]["embedding"]
            if path == "/api/embeddings":
                return answer["embedding"]
            vectors = answer if path in ("/embed", "/") else answer["embeddings"]
            return (list(vectors.values())[0] if isinstance(vectors, dict) else vectors)[0]

        obeyed = [{"output_dtype": "int8"}, {"embedding_type": "ubinary"}, {"embedding_types": ["binary"]}, {"dimensions": 7},
                  {"output_dimension": 7}, {"encoding_format": "base64"}, {"normalize": False}, {"normalized": False},
                  {"input_type": "query"}, {"task": "retrieval.query"}, {"prompt_name": "query"},
                  {"truncate_prompt_tokens": 1000}]
        refused = {"output_dtype": "int4", "embedding_types": ["x"], "dimensions": 99, "encoding_format": "hex",
                   "normalized": 1, "late_chunking": True, "return_multivector": True, "add_special_tokens": False,
                   "truncate_prompt_tokens": 3, "truncation_direction": "up", "prompt_name": "none"}
        with tempfile.TemporaryDirectory() as folder:
            with Service("-p", "fp32", model=variant(folder, prompts={"prompts": {"query": "the best "}})) as s:
                for member in obeyed:
                    given = [vector(s.json("POST", path, {name: "of times", **member})[1], path)
                             for path, name in routes.items()]
                    self.assertEqual(given, given[:1] * len(routes), member)
                plain = s.json("POST", "/embed", {"inputs": "of times"})[1][0]
                for member in obeyed[:-1]:
                    answer = s.json("POST", "/embed", {"inputs": "of times", **member})[1]
                    self.assertNotEqual(vector(answer, "/embed"), plain, member)
                for member, value in refused.items():
                    for path, name in routes.items():
                        status, answer = s.json("POST", path, {name: "a", member: value})
                        self.assertIn(status, (400, 422), (path, member))
                        self.assertIn(member, json.dumps(answer))

    def test_forms_of_texts(self):
        with Service("-p", "fp32") as s:
            expected = s.json("POST", "/v1/embeddings", {"input": ["a", "the"]})[1]["data"]
            for texts in [{"text": "a"}, {"text": "the"}], [{"text": "a"}, "the"], ["a", {"text": "the"}]:
                self.assertEqual(s.json("POST", "/v1/embeddings", {"input": texts})[1]["data"], expected)
            self.assertEqual(s.json("POST", "/v1/embeddings", {"input": {"text": "a"}})[1]["data"], expected[:1])
            harmless = {"truncation": True, "truncate": "END", "late_chunking": False, "add_special_tokens": True,
                        "normalized": True, "input_type": None, "output_dtype": "float", "embedding_type": "float"}
            self.assertEqual(s.json("POST", "/v1/embeddings", {"input": ["a", "the"], **harmless})[1]["data"], expected)


class Names(unittest.TestCase):
    def listed(self, s):
        names = [model["id"] for model in s.json("GET", "/v1/models")[1]["data"]]
        for path in "/models", "/openai/v1/models":
            self.assertEqual([model["id"] for model in s.json("GET", path)[1]["data"]], names)
        for name in names:
            for path in "/v1/models/", "/models/":
                self.assertEqual(s.json("GET", path + name)[1]["id"], name)
        for path in "/api/tags", "/api/ps":
            models = s.json("GET", path)[1]["models"]
            self.assertEqual({model["name"] for model in models}, {name + tag for name in names for tag in ("", ":latest")})
            for model in models:
                self.assertEqual(model["name"], model["model"])
                self.assertRegex(model["digest"], "^[0-9a-f]{64}$")
                self.assertRegex(model["modified_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
                self.assertGreater(model["size"], 0)
        return names

    def test_given(self):
        with Service("--model-name", "org/one", "--model-name", "two,three") as s:
            self.assertEqual(self.listed(s), ["org/one", "two", "three"])
            self.assertEqual(s.json("GET", "/info")[1]["model_id"], "org/one")
            for asked, named in (("org/one", "org/one"), ("two", "two"), ("three:latest", "three"), ("Two", "two"),
                                 ("other", "org/one"), (None, "org/one"), ({}, "org/one")):
                body = {"input": "a", "model": asked}
                for path in "/v1/embeddings", "/api/embed":
                    self.assertEqual(s.json("POST", path, body)[1]["model"], named, (path, asked))
            for member in "model", "name":
                show = s.json("POST", "/api/show", {member: "two:latest"})[1]
                self.assertEqual(show["capabilities"], ["embedding"])
                self.assertEqual(show["model_info"]["bert.embedding_length"], DIMENSIONS)
            status, headers, data = s.call("POST", "/api/pull", {"model": "two"})
            self.assertEqual((status, headers["content-type"], data),
                             (200, "application/x-ndjson", b'{"status":"success"}\n'))
            self.assertEqual(s.json("POST", "/api/pull", {"model": "two", "stream": False}), (200, {"status": "success"}))
            for path in "/api/show", "/api/pull":
                status, answer = s.json("POST", path, {"model": "other"})
                self.assertEqual(status, 404)
                self.assertIn("'other' not found", answer["error"])
                self.assertEqual(s.json("POST", path, {})[0], 400)
        with Service(environment={"SENVEC_SERVE_MODEL_NAME": "a,b"}) as s:
            self.assertEqual(self.listed(s), ["a", "b"])
        with Service("--model-name=c", environment={"SENVEC_SERVE_MODEL_NAME": "a,b"}) as s:
            self.assertEqual(self.listed(s), ["c"])

    def test_own(self):
        full, short = "sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"
        with tempfile.TemporaryDirectory() as folder:
            cache = Path(folder, "models")
            cache.mkdir()
            for name in "sentence-transformers--all-MiniLM-L6-v2", "org--model":
                shutil.copytree(service.MODEL, cache / name)
            environment = {"SENVEC_CACHE": folder}
            for model, names in ((full, [full, short, "all-minilm"]), (short, [short, full, "all-minilm"]),
                                 ("org/model", ["org/model", "model"]), (cache / "org--model", ["org/model", "model"]),
                                 (service.MODEL, ["tiny"])):
                with Service(model=model, environment=environment) as s:
                    self.assertEqual(self.listed(s), names)

    def test_azure(self):
        with Service(environment={"SENVEC_API_KEY": "k"}) as s:
            for path in "/openai/deployments/any/embeddings?api-version=2024-10-21", "/openai/v1/embeddings":
                status, answer = s.json("POST", path, {"input": "a"}, {"api-key": "k"})
                self.assertEqual((status, len(answer["data"])), (200, 1))
            self.assertEqual(s.json("POST", "/openai/deployments//embeddings", {"input": "a"}, {"api-key": "k"})[0], 404)
            self.assertEqual(s.json("POST", "/openai/v1/embeddings", {"input": "a"}, {"api-key": "x"})[0], 401)

    def test_prefix(self):
        for prefix in "/team/vectors", "team/vectors/":
            with Service("--prefix", prefix) as s:
                self.assertEqual(s.json("POST", "/team/vectors/v1/embeddings", {"input": "a"})[0], 200)
                for path in "/team/vectors", "/team/vectors/", "/team/vectors/health", "/health":
                    self.assertEqual(s.call("GET", path)[0], 200, path)
                for path in "/team/vectorshealth", "/team/health", "/team/vectors/team/vectors/health":
                    self.assertEqual(s.call("GET", path)[0], 404, path)

    def test_limits_that_hold(self):
        for options, most in ((), 512), (("--max-queue-texts", "7"), 7), (("--max-body", "1", "--max-memory", "4"), 512):
            with Service(*options) as s:
                info = s.json("GET", "/info")[1]
                self.assertEqual(info["max_client_batch_size"], most)
                texts = ["word " * info["max_input_length"]] * most
                self.assertEqual(s.json("POST", "/embed", {"inputs": texts})[0], 200)


class Ranking(unittest.TestCase):
    """With the model that doesn't normalise, since a score is a cosine all the same."""
    QUERY, DOCUMENTS = TEXTS[0], [TEXTS[3], TEXTS[0], TEXTS[2], TEXTS[0]]

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.service = Service("-p", "fp32", model=variant(cls.folder.name, [0, 1]))
        query = {"inputs": {"source_sentence": cls.QUERY, "sentences": cls.DOCUMENTS}}
        scores = cls.service.json("POST", "/similarity", query)[1]
        cls.expected = sorted(enumerate(scores), key=lambda item: -item[1])

    @classmethod
    def tearDownClass(cls):
        code = cls.service.stop()
        cls.folder.cleanup()
        assert code == 0, cls.service.errors

    def test_tei(self):
        for more in {}, {"raw_scores": True}, {"truncate": True, "truncation_direction": "Right"}:
            status, answer = self.service.json("POST", "/rerank", {"query": self.QUERY, "texts": self.DOCUMENTS, **more})
            self.assertEqual((status, [(item["index"], item["score"]) for item in answer]), (200, self.expected))
            self.assertNotIn("text", answer[0])
        self.assertEqual([item[0] for item in self.expected[:2]], [1, 3])  # equal ones in their order
        self.assertAlmostEqual(self.expected[0][1], 1, 5)
        answer = self.service.json("POST", "/rerank", {"query": self.QUERY, "texts": self.DOCUMENTS, "return_text": True})[1]
        self.assertEqual([item["text"] for item in answer], [self.DOCUMENTS[i] for i, _ in self.expected])

    def test_cohere_jina_and_voyage(self):
        for path in "/v1/rerank", "/v2/rerank", "/rerank":
            for documents in self.DOCUMENTS, [{"text": text} for text in self.DOCUMENTS]:
                body = {"query": self.QUERY, "documents": documents, "model": "variant"}
                status, answer = self.service.json("POST", path, body)
                self.assertEqual(status, 200, answer)
                self.assertEqual([(item["index"], item["relevance_score"]) for item in answer["results"]], self.expected)
                self.assertEqual(set(answer["results"][0]), {"index", "relevance_score"})
                self.assertEqual(answer["model"], "variant")
                self.assertGreater(answer["usage"]["total_tokens"], 10)
                self.assertEqual(answer["meta"]["billed_units"]["search_units"], 1)
                answer = self.service.json("POST", path, {**body, "top_n": 2, "return_documents": True})[1]
                self.assertEqual([item["document"]["text"] for item in answer["results"]], [self.QUERY] * 2)
                for top in 1, 9, None:
                    answer = self.service.json("POST", path, {**body, "top_k": top})[1]
                    self.assertEqual([item["index"] for item in answer["data"]], [i for i, _ in self.expected[:top]])
                    self.assertNotIn("results", answer)

    def test_mistakes(self):
        long = "the " * 500
        cases = [("/rerank", {"query": "a"}, 422, "texts"), ("/rerank", {"texts": ["a"]}, 422, "query"),
                 ("/rerank", {"query": "a", "texts": []}, 422, "texts"),
                 ("/rerank", {"query": 1, "texts": ["a"]}, 422, "query"),
                 ("/rerank", {"query": "a", "texts": ["a", 1]}, 400, "texts[1]"),
                 ("/rerank", {"query": "a", "texts": [long], "truncate": False}, 413, "input 0"),
                 ("/v1/rerank", {"query": "a", "documents": ["a"], "top_n": 0}, 400, "top_n"),
                 ("/v1/rerank", {"query": "a", "documents": [{"image": "a"}]}, 400, "documents[0]"),
                 ("/v2/rerank", {"query": "a", "documents": "a"}, 422, "documents"),
                 ("/v2/rerank", b"{", 400, "JSON"), ("/v2/nothing", {}, 404, "openapi"),
                 ("/predict", {"inputs": "a"}, 424, "classifier"), ("/embed_sparse", {"inputs": "a"}, 424, "SPLADE")]
        for path, body, expected, word in cases:
            status, answer = self.service.json("POST", path, body)
            self.assertEqual(status, expected, (path, body, answer))
            message = answer["error"] if not path.startswith("/v") else answer["message"]
            self.assertIn(word, message)
            self.assertEqual(answer.get("detail", message), message)


class Others(unittest.TestCase):
    def test_cohere(self):
        with Service("-p", "fp32") as s:
            expected = s.json("POST", "/embed", {"inputs": TEXTS})[1]
            status, answer = s.json("POST", "/v1/embed", {"texts": TEXTS, "model": "m", "input_type": "search_document"})
            self.assertEqual((status, answer["response_type"]), (200, "embeddings_floats"))
            self.assertEqual((answer["embeddings"], answer["texts"]), (expected, TEXTS))
            self.assertGreater(answer["meta"]["billed_units"]["input_tokens"], 10)
            answer = s.json("POST", "/v2/embed", {"texts": TEXTS, "truncate": "END"})[1]
            self.assertEqual((answer["embeddings"], answer["meta"]["api_version"]), ({"float": expected}, {"version": "2"}))
            types = ["float", "int8", "uint8", "binary", "ubinary", "base64"]
            for path in "/v1/embed", "/v2/embed":
                answer = s.json("POST", path, {"texts": TEXTS, "embedding_types": types, "output_dimension": 16})[1]
                self.assertEqual(answer["response_type"], "embeddings_by_type")
                self.assertEqual(set(answer["embeddings"]), set(types))
                for name in types[:-1]:
                    one = s.json("POST", "/v1/embeddings", {"input": TEXTS, "output_dtype": name, "dimensions": 16})[1]
                    self.assertEqual(answer["embeddings"][name], [item["embedding"] for item in one["data"]], name)
                self.assertEqual([list(floats(base64.b64decode(text))) for text in answer["embeddings"]["base64"]],
                                 [list(floats(vector)) for vector in answer["embeddings"]["float"]])
            inputs = [{"content": [{"type": "text", "text": text}]} for text in TEXTS]
            answer = s.json("POST", "/v2/embed", {"inputs": inputs, "texts": None})[1]
            self.assertEqual((answer["embeddings"]["float"], answer["texts"]), (expected, TEXTS))
            image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
            for wrong in ({"content": []}, {"content": "a"}, {"content": ["a"]}, {"content": [image]}, {"text": "a"},
                          {"content": [*inputs[0]["content"], image]}, {"content": {"text": "a"}}, 1):
                for body in ([wrong], [*inputs, wrong]):
                    status, answer = s.json("POST", "/v2/embed", {"inputs": body})
                    self.assertEqual(status, 400, answer)
                    self.assertIn(f"inputs[{len(body) - 1}]", answer["message"])
            for body, expected, word in (({"texts": ["a"], "embedding_types": ["int4"]}, 400, "embedding_types"),
                                         ({"texts": ["a"], "inputs": inputs}, 422, "inputs"),
                                         ({"images": ["a"]}, 422, "images"), ({"texts": []}, 400, "texts"), ({}, 422, "texts"),
                                         ({"texts": ["the " * 500], "truncate": "NONE"}, 413, "input 0")):
                status, answer = s.json("POST", "/v2/embed", body)
                self.assertEqual(status, expected, answer)
                self.assertIn(word, answer["message"])

    def test_weaviate(self):
        with Service("-p", "fp32", environment={"SENVEC_API_KEY": "k"}) as s:
            key = {"Authorization": "Bearer k"}
            for path in "/.well-known/ready", "/.well-known/live":
                self.assertEqual(s.call("GET", path)[::2], (204, b""))
            self.assertEqual(s.json("GET", "/meta", headers=key)[1]["hidden_size"], DIMENSIONS)
            self.assertEqual(s.call("GET", "/meta")[0], 401)
            body = {"text": TEXTS[0], "config": {"pooling_strategy": "masked_mean"}}
            answer = s.json("POST", "/vectors", body, key)[1]
            self.assertEqual((answer["text"], answer["dim"]), (TEXTS[0], DIMENSIONS))
            self.assertEqual([answer["vector"]], s.json("POST", "/embed", {"inputs": TEXTS[0]}, key)[1])
            self.assertEqual(s.json("POST", "/vectors", {"text": ["a"]}, key)[0], 422)


if __name__ == "__main__":
    service.SENVEC, service.MODEL = sys.argv[1], sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
