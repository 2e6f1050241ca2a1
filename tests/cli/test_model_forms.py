#!/usr/bin/env python3
"""test_model_forms SENVEC MODEL: every command opens every form in which a model comes."""
import contextlib
import fcntl
import http.client
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
import service  # noqa: E402

SENVEC, MODEL = "", Path()
PATIENCE = 900  # seconds until a test gives up: nothing takes that long, on whatever machine
TEXT = b"The river is north of the garden.\n"


def attempt(*arguments, **environment):
    return subprocess.run([SENVEC, *map(str, arguments)], input=TEXT, capture_output=True, timeout=PATIENCE,
                          env={**os.environ, **environment})


def run(*arguments, **environment):
    result = attempt(*arguments, **environment)
    assert result.returncode == 0, (arguments, result.stderr.decode())
    return result.stdout


def make_subfolder(model, to):
    shutil.copytree(model, to)
    (to / "0_Transformer").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
                 "sentence_bert_config.json"):
        (to / name).rename(to / "0_Transformer" / name)
    modules = json.loads((to / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (to / "modules.json").write_text(json.dumps(modules))
    return to


def make_shards(model, to):
    """The weights in two files, as save_pretrained(max_shard_size=...) writes them."""
    shutil.copytree(model, to)
    data = (to / "model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    tensors = {k: v for k, v in json.loads(data[8:8 + length]).items() if k != "__metadata__"}
    index = {}
    for part in range(2):
        header, body = {}, b""
        for name in sorted(tensors)[part::2]:
            begin, end = tensors[name]["data_offsets"]
            header[name] = {**tensors[name], "data_offsets": [len(body), len(body) + end - begin]}
            body += data[8 + length + begin:8 + length + end]
            index[name] = f"model-0000{part + 1}-of-00002.safetensors"
        text = json.dumps(header).encode()
        (to / f"model-0000{part + 1}-of-00002.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + body)
    (to / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (to / "model.safetensors").unlink()
    return to


def make_snapshot(model, hub):
    """Hugging Face's cache: links to blobs."""
    repository, commit = hub / "models--org--tiny", "0123456789abcdef0123456789abcdef01234567"
    (repository / "blobs").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    for number, path in enumerate(sorted(p for p in model.rglob("*") if p.is_file())):
        blob = repository / "blobs" / f"blob{number}"
        shutil.copyfile(path, blob)
        link = repository / "snapshots" / commit / path.relative_to(model)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    return repository / "snapshots" / commit


def ask(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Forms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        path = Path(cls.folder.name)
        os.environ["SENVEC_CACHE"] = str(path / "cache")
        # A calibration that lies there may have been made with the instructions of another tier.
        shutil.copytree(MODEL, path / "model", ignore=shutil.ignore_patterns("senvec-int8*"))
        run("pack", "-q", "-m", path / "model", path / "native")
        cls.forms = {
            "folder": path / "model",
            "folder with 0_Transformer": make_subfolder(path / "model", path / "subfolder"),
            "folder with two files of weights": make_shards(path / "model", path / "shards"),
            "snapshot": make_snapshot(path / "model", path / "hub"),
            "native file": path / "native",
        }
        cls.vectors = run("embed", "-q", "-m", path / "model", "-p", "int8", "-f", "csv")


    def test_embed(self):
        for name, path in self.forms.items():
            with self.subTest(name):
                self.assertEqual(run("embed", "-q", "-m", path, "-p", "int8", "-f", "csv"), self.vectors)

    def test_info(self):
        """One space, whatever the form; the name and the size of the weights."""
        spaces, names, sizes = {}, {}, {}
        for name, path in self.forms.items():
            info = json.loads(run("info", "--json", "-q", "-m", path, "-p", "int8"))
            spaces[name], names[name], sizes[name] = info["space_id"], info["name"], info["weights_bytes"]
        self.assertRegex(spaces["folder"], "^[0-9a-f]{64}$")
        self.assertEqual(set(spaces.values()), {spaces["folder"]})
        self.assertEqual(names["folder"], "model")
        self.assertEqual(names["snapshot"], "org/tiny")
        self.assertEqual(sizes["folder with 0_Transformer"], sizes["folder"])
        self.assertEqual(sizes["snapshot"], (MODEL / "model.safetensors").stat().st_size)

    def test_by_name(self):
        """Where sentence-transformers finds it."""
        path = Path(self.folder.name)
        for variable in ("SENTENCE_TRANSFORMERS_HOME", "HF_HUB_CACHE"):
            found = json.loads(run("info", "--json", "-q", "-m", "org/tiny", "-p", "int8", **{variable: str(path / "hub")}))
            self.assertEqual(found["name"], "org/tiny")

    def test_export(self):
        for number, (name, path) in enumerate(self.forms.items()):
            out = Path(self.folder.name) / f"onnx{number}"
            with self.subTest(name):
                if name == "native file":
                    self.assertIn(b"give the folder that it was made from", attempt("export", "-q", "-m", path, out).stderr)
                    self.assertFalse(out.exists())
                    continue
                run("export", "-q", "-m", path, out)
                self.assertEqual((out / "model.onnx").read_bytes(), (Path(self.folder.name) / "onnx0/model.onnx").read_bytes())

    def test_quantize(self):
        for number, (name, path) in enumerate(self.forms.items()):
            out = Path(self.folder.name) / f"again{number}"
            with self.subTest(name):
                if name == "native file":
                    failed = attempt("pack", "-q", "-m", path, out)
                    self.assertIn(b"is quantized already", failed.stderr)
                    self.assertFalse(out.exists())
                    continue
                run("pack", "-q", "-m", path, out)
                self.assertEqual(out.read_bytes(), self.forms["native file"].read_bytes())

    def test_study(self):
        """Space and size are what they are in the folder; of a native file the int8 rows are measured."""
        space = json.loads(run("info", "--json", "-q", "-m", self.forms["folder"], "-p", "fp32"))["space_id"]
        for name in ("folder with 0_Transformer", "native file"):
            out = Path(self.folder.name) / "study" / name.replace(" ", "-")
            with self.subTest(name):
                run("study", "bench", "-q", "-m", self.forms[name], "--out", out, "--peers", "none", "--quick", "--no-report",
                    "--rounds", 2, "--calls", 4, "--duration", 0.04)
                model = json.loads((out / "environment.json").read_text())["model"]
                self.assertEqual(model["space_id"], space)
                self.assertGreater(model["weights_bytes"], 10000)
                rows = json.loads((out / "study.json").read_text())["configurations"]
                sizes = {row["name"]: row["model_bytes"] for row in rows if not row["reason"] and row["model_bytes"]}
                self.assertIn("senvec int8 (single)", sizes)
                self.assertEqual("senvec fp32 (single)" in sizes, name != "native file")
                self.assertGreater(min(sizes.values()), 10000)

    def test_space_differs(self):
        """Each thing that changes vectors changes the id."""
        path = Path(self.folder.name) / "changed"
        space = lambda: json.loads(run("info", "--json", "-q", "-m", path, "-p", "fp32"))["space_id"]  # noqa: E731
        shutil.copytree(MODEL, path)
        seen = {space()}
        settings = path / "config_sentence_transformers.json"
        settings.write_text('{"prompts": {"query": "", "document": ""}, "default_prompt_name": null}')
        self.assertIn(space(), seen)  # as sentence-transformers saves a model without prompts
        changes = [
            lambda: settings.write_text('{"truncate_dim": 5}'),
            lambda: settings.write_text('{"prompts": {"query": "q: "}}'),
            lambda: settings.write_text('{"prompts": {"query": "q: "}, "default_prompt_name": "query"}'),
            lambda: (path / "sentence_bert_config.json").write_text('{"max_seq_length": 20}'),
            lambda: (path / "1_Pooling/config.json").write_text('{"embedding_dimension": 32, "pooling_mode": "max"}'),
            lambda: (path / "tokenizer.json").unlink(),
            lambda: (path / "model.safetensors").write_bytes(self.flipped()),
        ]
        for change in changes:
            change()
            self.assertNotIn(space(), seen)
            seen.add(space())

    def flipped(self):
        data = bytearray((MODEL / "model.safetensors").read_bytes())
        data[len(data) // 2] ^= 1
        return data

    def test_serve(self):
        wanted = [float(value) for value in self.vectors.decode().split(",")]
        for name, path in self.forms.items():
            with self.subTest(name), service.Service("-p", "int8", model=path) as server:
                status, vectors = server.json("POST", "/embed", {"inputs": [TEXT.decode().strip()]})
                self.assertEqual((status, vectors), (200, [wanted]))
                status, tokens = server.json("POST", "/tokenize", {"inputs": "garden"})
                self.assertEqual((status, [token["text"] for token in tokens[0]]), (200, ["[CLS]", "garden", "[SEP]"]))

    def test_overflow(self):
        """A model whose weights overflow gives an error, never nan or null; a server says so at its start."""
        path = Path(self.folder.name) / "overflow"
        shutil.copytree(MODEL, path)
        data = bytearray((path / "model.safetensors").read_bytes())
        length = int.from_bytes(data[:8], "little")
        begin, end = json.loads(data[8:8 + length])["encoder.layer.1.output.LayerNorm.weight"]["data_offsets"]
        data[8 + length + begin:8 + length + end] = struct.pack("<f", 3e38) * ((end - begin) // 4)
        (path / "model.safetensors").write_bytes(data)
        for arguments in (["embed"], ["serve", "--port", 0]):
            failed = attempt(*arguments, "-m", path, "-p", "fp32")
            self.assertEqual((failed.returncode, failed.stdout), (1, b""))
            self.assertIn(b"isn't finite", failed.stderr)

    def test_serve_while_calibrating(self):
        """Who asks before the model is there gets 503, and then the same port serves. A signal ends it at once meanwhile."""
        path = Path(self.folder.name) / "late"
        environment = {**os.environ, "SENVEC_CACHE": str(path / "cache")}
        shutil.copytree(MODEL, path / "model", ignore=shutil.ignore_patterns("senvec-int8*"))
        calibrated = [SENVEC, "info", "-q", "-m", path / "model", "-p", "int8"]
        subprocess.run(calibrated, env=environment, stdout=subprocess.DEVNULL, check=True)
        (path / "model/senvec-int8.safetensors").unlink()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with open(next((path / "cache/int8").glob(".*.lock")), "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # as another process that calibrates would
            waiting = path / "socket"
            with subprocess.Popen([SENVEC, "serve", "-m", path / "model", "-p", "int8", "--unix", waiting], env=environment,
                                  stderr=subprocess.PIPE) as ended:
                while not waiting.exists():
                    assert ended.poll() is None
                    time.sleep(0.02)
                ended.terminate()
                self.assertEqual((ended.wait(PATIENCE), ended.stderr.read(), waiting.exists()), (0, b"", False))
            process = subprocess.Popen([SENVEC, "serve", "-m", path / "model", "-p", "int8", "--port", str(port)],
                                       env=environment, stderr=subprocess.PIPE)
            while True:
                try:
                    status, body = ask(port)
                    break
                except ConnectionError:
                    assert process.poll() is None
                    time.sleep(0.02)
            self.assertEqual(status, 503)
            self.assertIn("model is being opened", json.loads(body)["error"])
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as slow:
                slow.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
                until = time.monotonic() + PATIENCE
                with contextlib.suppress(ConnectionError):  # one that never ends its request is sent away
                    while slow.send(b"x"):
                        self.assertLess(time.monotonic(), until)
                        time.sleep(0.01)
            self.assertEqual(ask(port)[0], 503)
        try:
            while b"listening on" not in process.stderr.readline():
                pass
            self.assertEqual(ask(port)[0], 200)
        finally:
            process.terminate()
            process.stderr.close()
        self.assertEqual(process.wait(PATIENCE), 0)


if __name__ == "__main__":
    SENVEC, MODEL = sys.argv[1], Path(sys.argv[2])
    service.SENVEC = SENVEC
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
