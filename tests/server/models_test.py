#!/usr/bin/env python3
"""models_test SENVEC MODEL FAMILIES: several models in one server: chosen by name, on the threads and in the queue of all,
let go when idle and opened again; and what lists say of them."""
import concurrent.futures
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import service
from service import PATIENCE, TEXTS, Service, floats

FAMILIES = None
RAW = {"Accept": "application/octet-stream"}


def embed(model, texts):
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    return subprocess.run([service.SENVEC, "embed", "-q", "-m", model, "--key", "text", "--format", "f32", "-"], input=lines,
                          capture_output=True, check=True).stdout


class Models(unittest.TestCase):
    def serve(self, *arguments, **more):
        return Service("-m", f"other,second,org/other={self.other}", *arguments, **more)

    @property
    def other(self):
        return FAMILIES / "mpnet"

    def ask(self, s, model, texts):
        status, _, data = s.call("POST", "/v1/embeddings", {"input": texts, **({"model": model} if model else {})}, RAW)
        self.assertEqual(status, 200, data)
        return data

    def test_each_by_its_name(self):
        first, other = embed(service.MODEL, TEXTS), embed(self.other, TEXTS)
        self.assertNotEqual(first, other)
        with self.serve() as s:
            name = s.json("GET", "/info")[1]["model_id"]
            for asked, expected in ((None, first), (name, first), (name + ":latest", first), ("other", other),
                                    ("SECOND", other), ("second:latest", other), ("org/other", other)):
                self.assertEqual(self.ask(s, asked, TEXTS), expected, asked)
            self.assertEqual(s.json("POST", "/v1/embeddings", {"input": "a", "model": "second"})[1]["model"], "second")
            for path, body in (("/v1/embeddings", {"input": "a"}), ("/api/embed", {"input": "a"}), ("/api/show", {}),
                               ("/v2/embed", {"texts": ["a"]}), ("/embed", {"inputs": "a"}), ("/tokenize", {"inputs": "a"})):
                status, answer = s.json("POST", path, {**body, "model": "third"})
                self.assertEqual(status, 404, path)
                for known in (f"'{name}'", "'other'", "third"):
                    self.assertIn(known, json.dumps(answer))
            azure = "/openai/deployments/%s/embeddings?api-version=1"
            for deployment, expected in (("other", other), (name, first)):
                self.assertEqual(s.call("POST", azure % deployment, {"input": TEXTS}, RAW)[2], expected)
            self.assertEqual(s.call("POST", azure % "third", {"input": TEXTS})[0], 404)
            ids = [model["id"] for model in s.json("GET", "/v1/models")[1]["data"]]
            self.assertTrue({name, "other", "second", "org/other"} <= set(ids))
            for listed in ("/api/tags", "/api/ps"):
                models = {model["name"]: model for model in s.json("GET", listed)[1]["models"]}
                self.assertTrue({name, "other", "second:latest"} <= set(models))
                self.assertNotEqual(models[name]["digest"], models["other"]["digest"])
                self.assertEqual(models["other"]["details"]["family"], "mpnet")
            self.assertEqual(s.json("POST", "/api/show", {"model": "other"})[1]["details"]["family"], "mpnet")
            self.assertEqual(s.call("GET", "/v1/models/other")[0], 200)
            values = s.metrics()
            self.assertEqual(values['senvec_model_loaded{model="other"}'], 1)
            self.assertGreater(values['senvec_model_texts_total{model="other"}'], 3 * len(TEXTS))

    def test_both_at_once(self):
        """Batches with texts of two models, from many clients: every answer is that of its model."""
        texts = [f"{text} {i}" for i in range(20) for text in TEXTS]
        models = (None, service.MODEL), ("other", self.other)
        expected = [embed(model, texts) for _, model in models]
        with self.serve("--cache", 0) as s, concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: self.ask(s, models[i % 2][0], texts), range(32)))
            self.assertEqual([answer == expected[i % 2] for i, answer in enumerate(answers)], [True] * 32)

    def test_one_model_keeps_its_habit(self):
        with Service() as s:
            self.assertEqual(self.ask(s, "whatever", TEXTS), embed(service.MODEL, TEXTS))

    def test_idle_models_are_let_go(self):
        first, other = embed(service.MODEL, TEXTS), embed(self.other, TEXTS)
        with self.serve("--idle-unload", "200ms", "--cache", 1) as s, concurrent.futures.ThreadPoolExecutor(8) as pool:
            gone = [f'senvec_model_loaded{{model="{name}"}}' for name in (s.json("GET", "/info")[1]["model_id"], "other")]
            for _ in range(3):
                s.wait_for(lambda values: not any(values[name] for name in gone))
                self.assertEqual(s.json("GET", "/api/ps")[1], {"models": []})
                self.assertGreater(len(s.json("GET", "/api/tags")[1]["models"]), 1)
                self.assertEqual(s.json("POST", "/tokenize", {"inputs": "a"})[0], 200)
                answers = list(pool.map(lambda i: self.ask(s, "other" if i % 2 else None, TEXTS), range(16)))
                self.assertEqual([answer == (other if i % 2 else first) for i, answer in enumerate(answers)], [True] * 16)
            large = {"input": [f"{i} " + "a b c d e f g h " * 20 for i in range(2000)]}  # over 256 KB
            s.wait_for(lambda values: not any(values[name] for name in gone))
            self.assertEqual(len(s.call("POST", "/v1/embeddings", large, RAW)[2]), 2000 * 4 * service.DIMENSIONS)
            values = s.metrics()
            self.assertGreaterEqual(values['senvec_model_unloads_total{model="other"}'], 3)
            self.assertGreater(values['senvec_cache_texts_total{result="miss"}'], 2000)

    def test_a_model_that_is_gone(self):
        """What can't be opened again is an error of the requests for it, and of no others."""
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder, "model")
            shutil.copytree(self.other, model)
            with Service("-m", f"other={model}", "--idle-unload", "200ms") as s:
                self.ask(s, "other", TEXTS)
                s.wait_for(lambda values: not values['senvec_model_loaded{model="other"}'])
                model.rename(Path(folder, "moved"))
                status, answer = s.json("POST", "/v1/embeddings", {"input": "a", "model": "other"})
                self.assertEqual(status, 503, answer)
                self.assertIn("the model can't be opened", answer["error"]["message"])
                self.assertEqual(self.ask(s, None, TEXTS), embed(service.MODEL, TEXTS))
                Path(folder, "moved").rename(model)
                self.assertEqual(self.ask(s, "other", TEXTS), embed(self.other, TEXTS))

    def test_bad_usage(self):
        for arguments, said in ((["-m", f"a={service.MODEL}", "-m", f"A={self.other}"], "two models have the name"),
                                (["-m", service.MODEL, "-m", self.other, "--model-name", "x"], "--model-name is"),
                                (["-m", "a=/nowhere"], "/nowhere"), (["-m", "/run=1/a"], "/run=1/a"),
                                (["-m", "./run=1/a"], "./run=1/a")):
            command = [service.SENVEC, "serve", "--port", "0", *map(str, arguments)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(said, done.stderr)

    def test_environment(self):
        """What the command line says of models replaces what the environment says."""
        with Service(environment={"SENVEC_SERVE_MODEL": str(self.other)}) as s:
            self.assertEqual(self.ask(s, None, TEXTS), embed(service.MODEL, TEXTS))
            self.assertEqual(len(floats(self.ask(s, None, TEXTS))), len(TEXTS) * service.DIMENSIONS)


if __name__ == "__main__":
    service.SENVEC, service.MODEL, FAMILIES = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=1)
