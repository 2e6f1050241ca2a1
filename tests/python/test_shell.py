"""python -m senvec, senvec.study, and models by name: caches, and fetching from a hub on this machine."""

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import numpy as np

import senvec
from senvec import SentenceTransformer
from tiny_model import TEXTS, TINY

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def run(*arguments, given="", **environment):
    return subprocess.run([sys.executable, "-m", "senvec", *arguments], input=given, capture_output=True, text=True,
                          timeout=600, env={**os.environ, **environment})


class Shell(unittest.TestCase):
    def test_embed(self):
        model = SentenceTransformer(TINY, precision="fp32")
        lines = "the river\nlight on the water\r\n\nmusic"
        expected = model.encode(["the river", "light on the water", "", "music"])
        result = run("embed", "-m", TINY, "-p", "fp32", given=lines)
        self.assertEqual(result.returncode, 0, result.stderr)
        made = [json.loads(line)["embedding"] for line in result.stdout.splitlines()]
        np.testing.assert_array_equal(np.array(made, np.float32), expected)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "vectors.npy")
            self.assertEqual(run("embed", "-m", TINY, "-p", "fp32", "-o", path, given=lines).returncode, 0)
            np.testing.assert_array_equal(np.load(path), expected)
            self.assertEqual(os.listdir(folder), ["vectors.npy"])
        self.assertEqual(json.loads(run("info", "-m", TINY).stdout)["dimensions"], 32)

    def test_mistakes(self):
        for arguments in (("embed", "-m", "/nowhere"), ("embed", "-m", TINY, "-o", "x.parquet"), ("info", "-m", "a b"),
                          ("embed", "-m", TINY, "/nowhere.txt")):
            result = run(*arguments)
            self.assertEqual((result.returncode, result.stdout, result.stderr.count("\n")), (1, "", 1), result.stderr)
        self.assertEqual(run("nonsense").returncode, 2)


class Study(unittest.TestCase):
    def test_results(self):
        """With a command that writes what it was asked for in place of measuring."""
        with tempfile.TemporaryDirectory() as folder:
            command = os.path.join(folder, "senvec")
            with open(command, "w", encoding="utf-8") as file:
                file.write(f"#!{sys.executable}\n" + (
                    "import json, os, sys\n"
                    "a = sys.argv\n"
                    "out = a[a.index('--out') + 1]\n"
                    "os.makedirs(out, exist_ok=True)\n"
                    "texts = [json.loads(line)['text'] for line in open(a[a.index('--corpus') + 1])]\n"
                    "if 'fail' in texts: sys.exit('senvec: why it failed')\n"
                    "open(out + '/benchmark_results.csv', 'w').write('configuration,texts_per_s\\n')\n"
                    "open(out + '/benchmark_results.csv', 'a').write('senvec int8,%d\\n' % len(texts))\n"
                    "open(out + '/environment.json', 'w').write(json.dumps({'arguments': a}))\n"))
            os.chmod(command, 0o755)
            made = senvec.study(TEXTS, command=command, out=os.path.join(folder, "out"), arguments=["--duration", "1"])
            self.assertEqual(made["benchmark_results"], [{"configuration": "senvec int8", "texts_per_s": len(TEXTS)}])
            self.assertEqual(made.environment["arguments"][-2:], ["--duration", "1"])
            self.assertIn("--quick", made.environment["arguments"])
            with self.assertRaisesRegex(senvec.Error, "why it failed"):
                senvec.study(["fail"], command=command, out=os.path.join(folder, "out"))
            with self.assertRaises(FileNotFoundError):
                senvec.study(TEXTS, command=os.path.join(folder, "nothing"))


class Hub(unittest.TestCase):
    """Fetching from a hub that behaves, and from some that don't."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = folder.name
        self.files = {}
        for base, _, names in os.walk(TINY):
            for name in names:
                path = os.path.join(base, name)
                with open(path, "rb") as file:
                    self.files[os.path.relpath(path, TINY)] = file.read()
        self.files["pytorch_model.bin"] = self.files["onnx/model.onnx"] = b"unwanted"
        self.files.pop("golden.json", None)
        self.served = dict(self.files)
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.path, self.headers.get("Authorization")))
                body = outer.answer(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        changed = {"SENVEC_CACHE": os.path.join(self.cache, "own"), "HF_HUB_CACHE": os.path.join(self.cache, "hub"),
                   "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}", "HF_HUB_OFFLINE": "", "HF_TOKEN": "secret"}
        before = {name: os.environ.get(name) for name in changed}
        os.environ.update(changed)
        self.addCleanup(lambda: [os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
                                 for name, value in before.items()])

    def answer(self, path):
        if path == "/api/models/some/tiny/revision/main?blobs=true":
            siblings = []
            for name, content in self.files.items():
                entry = {"rfilename": name, "size": len(content),
                         "blobId": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()}
                if name == "model.safetensors":
                    entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
                siblings.append(entry)
            return json.dumps({"sha": COMMIT, "siblings": siblings}).encode()
        prefix = f"/some/tiny/resolve/{COMMIT}/"
        return self.served.get(path[len(prefix):]) if path.startswith(prefix) else None

    def test_fetched_once(self):
        model = SentenceTransformer("some/tiny", precision="fp32")
        np.testing.assert_array_equal(model.encode(TEXTS), SentenceTransformer(TINY, precision="fp32").encode(TEXTS))
        self.assertTrue(all(token == "Bearer secret" for _, token in self.requests))
        self.assertFalse([path for path, _ in self.requests if "bin" in path or "onnx" in path])
        count = len(self.requests)
        self.assertEqual(senvec.pull("some/tiny"), model.info["path"])
        self.assertEqual(len(self.requests), count)
        with open(os.path.join(model.info["path"], "senvec.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["revision"], COMMIT)
        self.assertEqual(sorted(os.listdir(os.path.join(self.cache, "own", "models"))), [".some--tiny.lock", "some--tiny"])

    def test_wrong_bytes(self):
        for name in ("model.safetensors", "config.json"):
            for wrong in (self.files[name][:-1], self.files[name] + b" ", self.files[name][:-1] + b"\1"):
                self.served = {**self.files, name: wrong}
                with self.assertRaises((senvec.Error, OSError), msg=name):
                    SentenceTransformer("some/tiny")
                self.assertEqual(os.listdir(os.path.join(self.cache, "own", "models")), [".some--tiny.lock"])

    def test_nothing_there(self):
        with self.assertRaises(FileNotFoundError):
            SentenceTransformer("some/other")
        del self.files["model.safetensors"]
        with self.assertRaises(NotImplementedError):
            SentenceTransformer("some/tiny")
        os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
        with self.assertRaises(ConnectionError):
            SentenceTransformer("some/tiny")
        for arguments, environment in (({"local_files_only": True}, ""), ({}, "1")):
            os.environ["HF_HUB_OFFLINE"] = environment
            with self.assertRaisesRegex(FileNotFoundError, "fetch it with"):
                SentenceTransformer("some/tiny", **arguments)

    def test_hugging_face_cache(self):
        base = os.path.join(self.cache, "hub", "models--some--cached")
        os.makedirs(os.path.join(base, "refs"))
        with open(os.path.join(base, "refs", "main"), "w", encoding="ascii") as file:
            file.write(COMMIT)
        shutil.copytree(TINY, os.path.join(base, "snapshots", COMMIT))
        model = SentenceTransformer("some/cached", precision="fp32")
        self.assertEqual(model.info["path"], os.path.join(base, "snapshots", COMMIT))
        self.assertEqual(self.requests, [])
        os.environ["HF_HUB_CACHE"] = os.path.join(self.cache, "elsewhere")
        again = SentenceTransformer("some/cached", precision="fp32", cache_folder=os.path.join(self.cache, "hub"))
        self.assertIs(again._engine, model._engine)


if __name__ == "__main__":
    unittest.main()
