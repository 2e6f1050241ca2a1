#!/usr/bin/env python3
"""space_test SENVEC MODEL: the space id in what a server answers, on the tiny model."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import service
from service import DIMENSIONS, TEXTS, Service


class Space(unittest.TestCase):
    BODIES = {"/v1/embeddings": {"input": TEXTS}, "/embed": {"inputs": "a"}, "/embed_all": {"inputs": "a"},
              "/rerank": {"query": "a", "texts": ["b"]}, "/v1/embed": {"texts": ["a"]}, "/api/embed": {"input": "a"},
              "/api/embeddings": {"prompt": "a"}, "/vectors": {"text": "a"}}

    def digests(self, s):
        return {model["digest"] for model in s.json("GET", "/api/tags")[1]["models"]}

    def check(self, s, wanted):
        """All that says which space the vectors are of; `wanted` None: it isn't known."""
        self.assertEqual(s.json("GET", "/info")[1]["space_id"], wanted)
        self.assertIsNone(s.json("GET", "/info")[1]["model_sha"])
        for path, body in self.BODIES.items():
            status, headers, _ = s.call("POST", path, body)
            self.assertEqual((status, headers.get("x-space-id")), (200, wanted), path)
        _, headers, data = s.call("POST", "/embed", {"inputs": "a"}, {"Accept": "application/octet-stream"})
        self.assertEqual((len(data), headers.get("x-space-id")), (4 * DIMENSIONS, wanted))
        for path, body in ("/embed", {"inputs": 5}), ("/tokenize", {"inputs": "a"}):
            self.assertNotIn("x-space-id", s.call("POST", path, body)[1])
        if wanted:
            self.assertEqual(self.digests(s), {wanted})

    def test_the_model_s_space(self):
        with tempfile.TemporaryDirectory() as folder:
            model, file, environment = Path(folder, "model"), Path(folder, "model.native"), {"SENVEC_CACHE": folder}
            shutil.copytree(service.MODEL, model)
            with Service(model=model, environment=environment) as s:  # which computes it
                until = time.monotonic() + service.PATIENCE
                while not (space := s.json("GET", "/info")[1]["space_id"]):
                    self.assertLess(time.monotonic(), until)
                    time.sleep(0.02)
                self.check(s, space)
            command = {"check": True, "capture_output": True, "env": {**os.environ, **environment}}
            info = subprocess.run([service.SENVEC, "info", "--json", "-m", model], **command)
            self.assertEqual(json.loads(info.stdout)["space_id"], space)
            with Service(model=model, environment=environment) as s:  # which remembers it
                self.check(s, space)
            subprocess.run([service.SENVEC, "pack", "-m", model, file], **command)
            with Service(model=file, environment=environment) as s:
                self.check(s, space)
            data = file.read_bytes()
            self.assertEqual(data.count(b'"space":"'), 1)
            file.write_bytes(data.replace(b'"space":"', b'"spade":"'))
            with Service(model=file, environment=environment) as s:  # which can't know it
                before = self.digests(s)
                self.check(s, None)
                self.assertEqual(self.digests(s), before)
                self.assertRegex(*before, "^[0-9a-f]{64}$")


if __name__ == "__main__":
    service.SENVEC, service.MODEL = sys.argv[1], sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
