#!/usr/bin/env python3
"""test_registry SENVEC MODEL: `senvec models`, and `senvec selftest` where it can't pass."""
import json

from command_case import MODEL, Case, main, run


class Registry(Case):
    def setUp(self):
        super().setUp()
        self.empty = {name: str(self.path) for name in ("SENVEC_CACHE", "HF_HOME", "XDG_CACHE_HOME")}

    def test_models(self):
        lines = self.succeeds(run("models", environment=self.empty)).stdout.decode().splitlines()
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertFalse([line for line in lines if line.startswith("*")])
        models = json.loads(self.succeeds(run("models", "--json", environment=self.empty)).stdout)
        text = "\n".join(lines)
        for model in models:
            self.assertIn(" " + model["name"] + " ", text)
            self.assertIsNone(model["folder"])
        first = models[0]
        self.assertEqual((first["name"], first["dimensions"], first["licence"]), ("all-MiniLM-L6-v2", 384, "Apache-2.0"))
        self.assertEqual(len(first["sha256"]), 10)
        self.fails(run("models", "x"), 2, "x")

    def test_models_in_the_cache(self):
        folder = self.path / "models/BAAI--bge-small-en-v1.5"
        folder.mkdir(parents=True)
        for name in ("config.json", "model.safetensors"):
            (folder / name).write_bytes(b"x")
        lines = self.succeeds(run("models", environment=self.empty)).stdout.decode().splitlines()
        self.assertEqual([line.split()[1] for line in lines if line.startswith("*")], ["BAAI/bge-small-en-v1.5"])
        models = json.loads(self.succeeds(run("models", "--json", environment=self.empty)).stdout)
        self.assertEqual([model["folder"] for model in models if model["folder"]], [str(folder)])

    def test_selftest_without_a_model(self):
        self.fails(run("selftest", environment=self.empty), 1, "all-MiniLM-L6-v2", "senvec pull")
        self.fails(run("selftest", "org/none", environment=self.empty), 1, "org/none")
        self.fails(run("selftest", "a", "b"), 2, "b")

    def test_selftest_without_vectors(self):
        self.fails(run("selftest", MODEL), 1, "nothing was compared", "--as")
        self.fails(run("selftest", MODEL, "--as", "thenlper/gte-small"), 1, "nothing was compared")
        self.fails(run("selftest", MODEL, "--as", "org/none"), 2, "org/none", "senvec models")

    def test_selftest_of_another_model(self):
        for precision in ("fp32", "int8"):
            result = run("selftest", "-p", precision, self.copy_model(), "--as", "all-MiniLM-L6-v2")
            self.assertEqual(result.returncode, 1, result.stderr)
            lines = result.stdout.decode().splitlines()
            self.assertEqual(len(lines), 5)
            self.assertTrue(all(line.startswith("FAILED ") for line in lines), lines)
            self.assertIn(b"5 of 5 checks failed", result.stderr)
        self.fails(run("selftest", MODEL, "--as", "cross-encoder/ms-marco-MiniLM-L6-v2"), 1, "embedding")


if __name__ == "__main__":
    main()
