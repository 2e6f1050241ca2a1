#!/usr/bin/env python3
"""test_compare SENVEC MODEL: `senvec compare` on two of `senvec serve`, and on servers that give something else."""
import base64
import contextlib
import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
import service  # noqa: E402

SENVEC, MODEL = sys.argv[1:3]
service.SENVEC, service.MODEL = SENVEC, MODEL
PATIENCE = 300  # seconds until a test gives up: nothing takes that long, on whatever machine


def vector(text, path):
    """Of three numbers; the path says how it is changed."""
    length = {"/longer": 3.0}.get(path, 1.0)
    if path == "/zero":
        length = 0.0
    if path == "/wide":
        return [1.0, 0, 0, 0]
    if path == "/turned" and text.startswith("turn"):
        return [0.6, 0.8, 0]
    return [length, 0, 0]


class Stub(BaseHTTPRequestHandler):
    """What it answers depends on the path; the answer's form is that of the request."""
    protocol_version = "HTTP/1.1"
    seen = []  # (path, texts, Authorization, model)
    lock = threading.Lock()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = body.get("input", body.get("inputs"))
        with self.lock:
            self.seen.append((self.path, texts, self.headers.get("Authorization"), body.get("model")))
            earlier = sum(len(seen[1]) for seen in self.seen if seen[0] == self.path)
        vectors = [vector(text, self.path) for text in texts]
        if self.path == "/changes" and earlier > 2:
            vectors = [[1.0, 0] for _ in texts]
        if body.get("encoding_format") == "base64":
            vectors = [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() for v in vectors]
            if self.path == "/odd":
                vectors = ["AAA=" for _ in texts]
        answer = vectors if "inputs" in body else {
            "data": [{"index": i, "embedding": vector} for i, vector in enumerate(vectors)]}
        answer = b"<html>" if self.path == "/html" else json.dumps(answer).encode()
        self.send_response(int(self.path[1:]) if self.path[1:].isdigit() else 200)
        self.send_header("Content-Length", str(len(answer)))
        if self.path == "/closes":
            self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Compare(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)
        self.corpus = self.path / "texts.txt"
        self.corpus.write_text("turn one\nstay two\n" * 4 + "stay \x1b[31m red\n", encoding="utf-8")
        stub = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
        self.addCleanup(stub.server_close)
        self.addCleanup(stub.shutdown)
        threading.Thread(target=stub.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{stub.server_port}"
        Stub.seen = []

    def run_senvec(self, *arguments, environment=None):
        return subprocess.run([SENVEC, "compare", *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
                              env=environment)

    def compare(self, old, new, code, *more):
        """(what was printed, the parsed --json file)."""
        path = self.path / "compare.json"
        done = self.run_senvec(self.url + old, self.url + new, "--corpus", self.corpus, "--json", path, "-q", *more)
        self.assertEqual((done.returncode, done.stderr), (code, ""))
        for line in done.stdout.splitlines():
            self.assertLessEqual(len(line), 80)
        found = json.loads(path.read_text())
        self.assertEqual(found["same"], code == 0)
        self.assertEqual(done.stdout.splitlines()[-1], found["verdict"])
        return done.stdout, found

    def fails(self, old, new, *words, code=1):
        path = self.path / "compare.json"
        done = self.run_senvec(old, new, "--corpus", self.corpus, "--json", path)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (code, "", 1), done.stderr)
        self.assertFalse(path.exists())
        self.assertEqual(list(self.path.iterdir()), [self.corpus])
        for word in ("senvec compare: ", *words):
            self.assertIn(word, done.stderr)

    def test_two_of_senvec_serve(self):
        with service.Service() as old, service.Service("--threads", "1") as new:
            path = self.path / "compare.json"
            for addresses, batch in (((old.address, new.address), 1), ((old.address + ",tei", new.address + ",ollama"), 7),
                                     ((old.address + ",openai-base64", new.address), 200)):
                done = self.run_senvec(*addresses, "--texts", 101, "-b", batch, "--json", path, "-q")
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
                found = json.loads(path.read_text())
                self.assertTrue(found["same"])
                self.assertIn("SAME", found["verdict"])
                self.assertEqual((found["texts"], found["batch"], found["below"]), (101, batch, 0))
                self.assertEqual((found["lengths_apart"], len(found["worst"])), (0, 5))
                for figure in ("mean", "min", "p1", "p5", "p50"):
                    self.assertAlmostEqual(found["cosine"][figure], 1, places=6)
                for side in ("old", "new"):
                    self.assertEqual(found[side]["dimensions"], 32)
                    self.assertAlmostEqual(found[side]["length_min"], 1, places=4)
                    self.assertEqual(found[side]["latency_ms"]["count"], {1: 101, 7: 14, 200: 1}[batch])
                    self.assertGreater(found[side]["latency_ms"]["p50"], 0)
                    self.assertEqual(found[side]["latency_ms"]["p99"] is None, batch > 1)

    def test_other_vectors(self):
        out, found = self.compare("/same", "/turned", 1)
        self.assertIn("DIFFERENT: 4 of 9 texts are below a cosine of 0.998, the least 0.600000", out)
        self.assertEqual([round(item["cosine"], 6) for item in found["worst"]], [0.6, 1, 1])
        self.assertEqual([item["text"] for item in found["worst"]], ["turn one", "stay two", "stay \x1b[31m red"])
        self.assertAlmostEqual(found["cosine"]["mean"], (4 * 0.6 + 5) / 9)
        self.assertEqual((found["below"], found["cosine"]["p50"], found["lengths_apart"]), (4, 1, 0))
        self.compare("/same", "/turned", 0, "--cosine", 0.6)
        _, found = self.compare("/same", "/zero", 1)
        self.assertEqual((found["cosine"]["mean"], found["new"]["length_max"]), (0, 0))
        self.corpus.write_text("\x1b[31m \u009b31m " + "\u6f22" * 90 + "\n", encoding="utf-8")
        out, _ = self.compare("/same", "/same", 0)
        self.assertNotIn("\x1b", out)
        self.assertNotIn("\u009b", out)
        self.assertIn("\u6f22...", out)

    def test_other_lengths(self):
        out, found = self.compare("/same", "/longer,openai-base64", 0, "--batch", 4)
        self.assertIn("9 texts have vectors of different lengths", out)
        self.assertEqual((found["lengths_apart"], found["old"]["length_max"], found["new"]["length_min"]), (9, 1, 3))

    def test_other_dimensions(self):
        out, found = self.compare("/same", "/wide", 1)
        self.assertIn("DIFFERENT: OLD's vectors have 3 numbers, NEW's 4", out)
        self.assertEqual((found["texts"], found["cosine"]["mean"], found["new"]["length_min"]), (0, None, None))

    def test_turns_names_and_keys(self):
        done = self.run_senvec(self.url + "/same,a", self.url + "/closes,tei", "--corpus", self.corpus, "-b", 4, "-q", "--json",
                               "-", "--old-api-key", "first", environment={"SENVEC_API_KEY": "second"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(json.loads(done.stdout)["old"]["model"], "a")
        self.assertEqual([(path, len(texts)) for path, texts, *_ in Stub.seen],
                         [("/same", 4), ("/closes", 4), ("/same", 4), ("/closes", 4), ("/closes", 4), ("/same", 4),
                          ("/same", 1), ("/closes", 1)])
        self.assertEqual({(path, key, model) for path, _, key, model in Stub.seen},
                         {("/same", "Bearer first", "a"), ("/closes", "Bearer second", None)})

    def test_servers_that_fail(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            down = f"http://127.0.0.1:{closed.getsockname()[1]}"
            self.fails(self.url, down, "Connection refused", "is the server running?")
            self.fails(down, self.url, "Connection refused")
        for path, words in (("/500", ("error_status", "status 500")), ("/403", ("status 403",)), ("/429", ("refused", "429")),
                            ("/html", ("wrong_answer", "<html>")), ("/odd,openai-base64", ("can't be read",)),
                            ("/same,ollama", ("no list of vectors",)),
                            ("/changes", ("NEW: gave vectors of 3 numbers at first and now of 2",))):
            with self.subTest(path):
                self.fails(self.url + "/same", self.url + path, *words)

    def test_bad_command_lines(self):
        self.fails("https://a", self.url, "TLS", code=2)
        self.fails(self.url, self.url + ",grpc,a", "dialects", code=2)
        self.fails(self.url, "a:80", "not an http address", code=2)
        for arguments in ((self.url,), (self.url, self.url, self.url), (self.url, self.url, "--cosine", 2),
                          (self.url, self.url, "-b", 0)):
            self.assertEqual(self.run_senvec(*arguments).returncode, 2)
        self.assertEqual(self.run_senvec(self.url, self.url, "--corpus", self.path / "none").returncode, 1)
        self.assertEqual(Stub.seen, [])
        help_text = self.run_senvec("--help").stdout
        self.assertLessEqual(max(map(len, help_text.splitlines())), 80)


unittest.main(argv=sys.argv[:1])
