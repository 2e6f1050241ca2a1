#!/usr/bin/env python3
"""test_model_forms SENVEC MODEL: every command opens every form in which a model comes."""
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
import service  # noqa: E402

SENVEC, MODEL = "", Path()
PATIENCE = 1500  # seconds until a test gives up: nothing takes that long, on whatever machine
TEXT = b"The river is north of the garden.\n"


def run(*arguments):
    result = subprocess.run([SENVEC, *map(str, arguments)], input=TEXT, capture_output=True, timeout=PATIENCE)
    assert result.returncode == 0, (arguments, result.stderr.decode())
    return result.stdout


class Forms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        path = Path(cls.folder.name)
        shutil.copytree(MODEL, path / "model")
        run("pack", "-q", "-m", path / "model", path / "native")
        cls.forms = {"folder": path / "model", "native file": path / "native"}
        cls.vectors = run("embed", "-q", "-m", path / "model", "-p", "int8", "-f", "csv")

    def each(self):
        for name, path in self.forms.items():
            with self.subTest(name):
                yield name, path

    def test_embed(self):
        for _, path in self.each():
            self.assertEqual(run("embed", "-q", "-m", path, "-p", "int8", "-f", "csv"), self.vectors)

    def test_serve(self):
        wanted = [float(value) for value in self.vectors.decode().split(",")]
        for _, path in self.each():
            with service.Service("-p", "int8", model=path) as server:
                status, vectors = server.json("POST", "/embed", {"inputs": [TEXT.decode().strip()]})
                self.assertEqual((status, vectors), (200, [wanted]))
                status, tokens = server.json("POST", "/tokenize", {"inputs": "garden"})
                self.assertEqual((status, [token["text"] for token in tokens[0]]), (200, ["[CLS]", "garden", "[SEP]"]))


if __name__ == "__main__":
    SENVEC, MODEL = sys.argv[1], Path(sys.argv[2])
    service.SENVEC = SENVEC
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
