"""What the tests of the command share: running it on the tiny model, reading what it wrote, and the rule that every failure is
one line on stderr that begins with "senvec". A test script names the command and the model by setup(SENVEC, MODEL).
"""
import array
import ast
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PATIENCE = 900  # seconds until a test gives up: nothing takes that long, on whatever machine
DIMENSIONS = 32
SENVEC = sys.argv[1] if len(sys.argv) > 2 else ""
MODEL = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()


def run(*arguments, data=b"", environment=None, **more):
    return subprocess.run([SENVEC, *map(str, arguments)], input=data, capture_output=True, timeout=PATIENCE,
                          env={**os.environ, **(environment or {})}, **more)


def rows_of(npy):
    """(rows, columns, floats) of an .npy file's bytes."""
    assert npy[:8] == b"\x93NUMPY\x01\x00", npy[:8]
    length = int.from_bytes(npy[8:10], "little")
    assert (10 + length) % 64 == 0
    header = ast.literal_eval(npy[10:10 + length].decode())
    assert header["descr"] == "<f4" and header["fortran_order"] is False
    values = array.array("f", npy[10 + length:])
    rows, columns = header["shape"]
    assert len(values) == rows * columns
    return rows, columns, values


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)

    def file(self, name, data):
        (self.path / name).write_bytes(data)
        return self.path / name

    def embed(self, *arguments, **more):
        return run("embed", "-m", MODEL, *arguments, **more)

    def succeeds(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def fails(self, result, code, *words):
        """One line on stderr that holds the words, that exit code, and nothing on stdout."""
        message = result.stderr.decode()
        self.assertEqual(result.returncode, code, message)
        self.assertEqual(message.count("\n"), 1, message)
        self.assertTrue(message.startswith("senvec"), message)
        for word in words:
            self.assertIn(word, message)
        self.assertEqual(result.stdout, b"")

    def copy_model(self):
        """A copy of the tiny model that a test may break."""
        target = self.path / "model"
        for source in MODEL.rglob("*"):
            if source.is_file():
                copied = target / source.relative_to(MODEL)
                copied.parent.mkdir(parents=True, exist_ok=True)
                copied.write_bytes(source.read_bytes())
        return target


def main():
    """Runs the tests of the script: SCRIPT SENVEC MODEL [TEST...]."""
    unittest.main(module="__main__", argv=sys.argv[:1] + sys.argv[3:])
