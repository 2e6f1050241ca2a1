"""senvec.batch: formats, columns, runs that were ended at any moment, and what a resumed run refuses."""

import errno
import gzip
import json
import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np

from senvec import SentenceTransformer
from tiny_model import TEXTS, TINY

try:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.ipc
    import pyarrow.parquet

    from senvec import batch
    from senvec._batch_files import pieces
    from senvec._estimate import estimate
except ImportError:
    pa = None

COUNT, ROWS = 500, 40


@unittest.skipIf(pa is None, "no pyarrow")
class Batch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.model = SentenceTransformer(TINY, precision="fp32")
        self.texts = [f"{TEXTS[index % len(TEXTS)]} {index}".replace("\0", "") for index in range(COUNT)]
        self.table = pa.table({"id": range(COUNT), "text": self.texts})
        self.input = self.path("in.parquet")
        pa.parquet.write_table(self.table, self.input, row_group_size=70)

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, folder):
        names = sorted(name for name in os.listdir(folder) if name.endswith(".parquet"))
        return pa.concat_tables([pa.parquet.read_table(os.path.join(folder, name)) for name in names])

    def vectors(self, table):
        return np.array(table.column("embedding").to_pylist())

    def test_formats(self):
        expected = self.model.encode(self.texts)
        pa.csv.write_csv(self.table, self.path("in.csv"))
        with pa.ipc.new_file(self.path("in.arrow"), self.table.schema) as writer:
            writer.write_table(self.table, max_chunksize=33)
        with open(self.path("in.jsonl"), "w", encoding="utf-8") as file:
            for index, text in enumerate(self.texts):
                file.write(json.dumps({"id": index, "text": text}) + "\n")
        with gzip.open(self.path("in.jsonl.gz"), "wb") as packed, open(self.path("in.jsonl"), "rb") as plain:
            packed.write(plain.read())
        for name in ("in.parquet", "in.csv", "in.arrow", "in.jsonl", "in.jsonl.gz"):
            out = self.path("out-" + name)
            written = batch.embed(self.path(name), out, model=self.model, rows=ROWS)
            self.assertEqual((written["shards"], written["rows"]), (13, COUNT), name)
            made = self.read(out)
            self.assertEqual(made.column("id").to_pylist(), list(range(COUNT)), name)
            np.testing.assert_array_equal(self.vectors(made).astype(np.float32), expected, name)

    def test_forms(self):
        for precision in ("float16", "int8", "ubinary"):
            out = self.path(precision)
            batch.embed([self.input], out, model=self.model, precision=precision, keep=["id"], normalize_embeddings=True)
            made = self.read(out)
            self.assertEqual(made.column_names, ["id", "embedding"])
            plain = self.model.encode(self.texts, normalize_embeddings=True,
                                      precision="float32" if precision == "float16" else precision)
            np.testing.assert_array_equal(self.vectors(made), plain.astype(np.float16) if precision == "float16" else plain)

    def test_nulls(self):
        pa.parquet.write_table(pa.table({"text": ["a", None, "b"]}), self.path("nulls.parquet"))
        batch.embed(self.path("nulls.parquet"), self.path("out"), model=self.model)
        made = self.read(self.path("out")).column("embedding").to_pylist()
        self.assertIsNone(made[1])
        np.testing.assert_array_equal(np.array([made[0], made[2]], np.float32), self.model.encode(["a", "b"]))

    def check_resumed(self, **options):
        """Ended at each step of its way, a run that is resumed ends with the bytes of one that wasn't ended."""
        whole, out = self.path("whole"), self.path("out")
        batch.embed(self.input, whole, model=self.model, rows=ROWS, **options)
        code = (
            "import os, sys\n"
            "from senvec import SentenceTransformer, batch\n"
            "left = int(sys.argv[1])\n"
            "def count(function):\n"
            "    def counted(*a):\n"
            "        global left\n"
            "        left -= 1\n"
            "        if left == 0:\n"
            "            os.kill(os.getpid(), 9)\n"
            "        return function(*a)\n"
            "    return counted\n"
            "os.fsync, os.replace = count(os.fsync), count(os.replace)\n"
            f"model = SentenceTransformer({TINY!r}, precision='fp32')\n"
            f"batch.embed({self.input!r}, {out!r}, model=model, rows={ROWS}, resume=True, **{options!r})\n"
        )
        ended = 0
        for step in (1, 3, 4, 5, 6, 7, 10):
            ended += subprocess.run([sys.executable, "-c", code, str(step)], timeout=600).returncode == -9
        self.assertGreaterEqual(ended, 5)
        with open(os.path.join(out, batch.MANIFEST), "a", encoding="utf-8") as file:
            file.write('{"shard": 5, "fi')  # as a crash leaves it
        batch.embed(self.input, out, model=self.model, rows=ROWS, resume=True, **options)
        self.assertEqual(sorted(os.listdir(out)), sorted(os.listdir(whole)))
        for name in set(os.listdir(whole)) - {batch.MANIFEST}:
            with open(os.path.join(whole, name), "rb") as one, open(os.path.join(out, name), "rb") as other:
                self.assertEqual(one.read(), other.read(), name)
        self.assertEqual(batch.embed(self.input, out, model=self.model, rows=ROWS, resume=True, **options)["shards"], 0)
        lines = {folder: self.manifest(folder) for folder in (whole, out)}
        self.assertEqual(sorted(lines[out], key=lambda line: line["shard"]), lines[whole])
        self.assertEqual([line["shard"] for line in lines[whole]], list(range(13)))

    def manifest(self, folder):
        with open(os.path.join(folder, batch.MANIFEST), encoding="utf-8") as file:
            return [json.loads(line) for line in file.read().splitlines()[1:]]

    def test_killed_and_resumed(self):
        self.check_resumed()

    def test_killed_and_resumed_npy(self):
        self.check_resumed(form="npy", keep=["id"])

    def test_npy(self):
        """Matrices that memory-map, of each form, and the kept columns beside them."""
        for precision in ("float32", "float16", "int8", "uint8", "binary", "ubinary"):
            out = self.path(precision)
            written = batch.embed(self.input, out, model=self.model, precision=precision, form="npy", rows=200,
                                  normalize_embeddings=True, keep=["id"] if precision == "int8" else None)
            self.assertEqual((written["shards"], written["rows"]), (3, COUNT))
            names = [line["file"] for line in self.manifest(out)]
            made = [np.load(os.path.join(out, name), mmap_mode="r") for name in names]
            self.assertEqual({type(one) for one in made}, {np.memmap})
            plain = self.model.encode(self.texts, normalize_embeddings=True,
                                      precision="float32" if precision == "float16" else precision)
            expected = plain.astype(np.float16) if precision == "float16" else plain
            self.assertEqual({one.dtype for one in made}, {expected.dtype})
            np.testing.assert_array_equal(np.concatenate(made), expected)
            columns = sorted(set(os.listdir(out)) - set(names) - {batch.MANIFEST})
            self.assertEqual(len(columns), 3 if precision == "int8" else 0)
            if columns:
                self.assertEqual(self.read(out).to_pydict(), {"id": list(range(COUNT))})

    def test_npy_nulls(self):
        """A vector of NaN where there is one; else the run ends, and says at which row."""
        path = self.path("nulls.parquet")
        pa.parquet.write_table(pa.table({"text": ["a", None, "b"]}), path)
        for precision in ("float32", "float16"):
            out = self.path("out-" + precision)
            batch.embed(path, out, model=self.model, precision=precision, form="npy")
            made = np.load(os.path.join(out, "part-000000.npy"))
            np.testing.assert_array_equal(made[[0, 2]], self.model.encode(["a", "b"]).astype(precision))
            self.assertTrue(np.isnan(made[1]).all())
        out = self.path("out")
        with self.assertRaisesRegex(ValueError, "part-000000.npy: the text of row 1 is null"):
            batch.embed(path, out, model=self.model, precision="int8", form="npy")
        self.assertEqual(os.listdir(out), [batch.MANIFEST])

    def test_shards_of_several_machines(self):
        for part in range(3):
            batch.embed(self.input, self.path(f"part{part}"), model=self.model, rows=ROWS, shard=(part, 3))
        names = [set(os.listdir(self.path(f"part{part}"))) - {batch.MANIFEST} for part in range(3)]
        self.assertEqual((len(set.union(*names)), sum(map(len, names))), (13, 13))

    def test_shards_of_long_files(self):
        """A machine reads the row groups that its shards need, and shards of several files are numbered through."""
        pa.parquet.write_table(self.table.slice(0, 130), self.path("a.parquet"), row_group_size=20)
        pa.parquet.write_table(self.table.slice(130), self.path("b.parquet"), row_group_size=60)
        made = {}
        files = [self.path("a.parquet"), self.path("b.parquet")]
        for number, piece in pieces(files, "text", ROWS, lambda number: number % 5 == 3):
            made.setdefault(number, []).append(piece)
        expected = {3: range(120, 130), 8: range(130 + 4 * ROWS, 130 + 5 * ROWS), 13: range(130 + 9 * ROWS, COUNT)}
        self.assertEqual({number: [row for piece in found[:-1] for row in piece.column("id").to_pylist()]
                          for number, found in made.items()}, {number: list(rows) for number, rows in expected.items()})
        self.assertTrue(all(found[-1] is None for found in made.values()))

    def test_refused(self):
        out = self.path("out")
        batch.embed(self.input, out, model=self.model, rows=ROWS)
        with self.assertRaises(FileExistsError):
            batch.embed(self.input, out, model=self.model, rows=ROWS)
        pa.parquet.write_table(self.table.slice(1), self.path("other.parquet"))
        for inputs, options in ((self.input, {"rows": ROWS, "precision": "int8"}), (self.input, {"rows": ROWS + 1}),
                                (self.input, {"rows": ROWS, "form": "npy"}), (self.path("other.parquet"), {"rows": ROWS})):
            with self.assertRaises(ValueError):
                batch.embed(inputs, out, model=self.model, resume=True, **options)
        with self.assertRaisesRegex(ValueError, "no column 'body'; there are id, text"):
            batch.embed(self.input, self.path("a"), model=self.model, column="body")
        with self.assertRaisesRegex(ValueError, "not strings"):
            batch.embed(self.input, self.path("b"), model=self.model, column="id")
        for wrong, error in (("nothing-*.parquet", FileNotFoundError), (self.path("none.parquet"), FileNotFoundError)):
            with self.assertRaises(error):
                batch.embed(wrong, self.path("c"), model=self.model)

    def test_full_disk(self):
        """One line that says where and what to do, nothing half written, and a run that can be resumed."""
        full = OSError(errno.ENOSPC, "No space left on device")
        for options in ({"form": "parquet"}, {"form": "npy", "keep": ["id"]}):
            out = self.path(options["form"])
            with mock.patch("senvec._shard_files._sha256", side_effect=["", full]), \
                    self.assertRaisesRegex(OSError, "go on with resume"):
                batch.embed(self.input, out, model=self.model, rows=ROWS, **options)
            self.assertEqual({os.path.splitext(name)[0] for name in os.listdir(out)},
                             {"manifest"} if options["form"] == "npy" else {"manifest", "part-000000"})
            again = batch.embed(self.input, out, model=self.model, rows=ROWS, resume=True, **options)
            self.assertEqual(again["rows"], COUNT - (0 if options["form"] == "npy" else ROWS))

    def test_estimate(self):
        """Rows, repeats and output are counted; how long it takes, this machine decides."""
        path = self.path("repeats.parquet")
        pa.parquet.write_table(pa.table({"text": (self.texts * 3)[:1200] + [None]}), path)
        line = [sys.executable, "-m", "senvec.batch", path, "--estimate", "-m", TINY, "-p", "fp32"]
        said = subprocess.run([*line, "--machines", "4", "--price", "2"], capture_output=True, text=True, timeout=600)
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        self.assertRegex(said.stdout, r"^1,201 texts, [\d,]+ tokens\n[\d.]+ s on this machine, [\d.]+ s on 4 like it; "
                                      r"[\d.]+ s of CPU time\n"
                                      r"[\d.]+ USD at 2 USD an hour, [\de.-]+ USD a million tokens\n"
                                      r"[\d.]+ GB of output\n58.4 % of 1,201 texts repeat others")
        pa.parquet.write_table(self.table, path)
        made = estimate([path], "text", None, self.model, "float32", True, {})
        batch.embed(path, self.path("out"), model=self.model)
        written = sum(os.path.getsize(os.path.join(self.path("out"), name)) for name in os.listdir(self.path("out")))
        self.assertEqual((made["rows"], made["distinct"]), (COUNT, 1.0))
        self.assertAlmostEqual(made["bytes"] / written, 1, delta=0.05)
        tokens = sum(map(len, self.model.tokenizer(self.texts)["input_ids"]))
        self.assertAlmostEqual(made["tokens"] / tokens, 1, delta=0.01)
        pa.parquet.write_table(pa.table({"text": pa.array([None], pa.string())}), path)
        said = subprocess.run(line, capture_output=True, text=True, timeout=600)
        self.assertEqual((said.returncode, said.stderr.count("\n")), (1, 1), said.stderr)

    def test_shell(self):
        line = [sys.executable, "-m", "senvec.batch", self.input, "-o", self.path("out"), "-m", TINY, "-p", "fp32",
                "--rows", "90"]
        self.assertEqual(subprocess.run(line, capture_output=True, timeout=600).returncode, 0)
        made = self.vectors(self.read(self.path("out")))
        np.testing.assert_array_equal(made.astype(np.float32), self.model.encode(self.texts))
        npy = [self.path("npy") if word == self.path("out") else word for word in line]
        self.assertEqual(subprocess.run([*npy, "--format", "npy"], capture_output=True, timeout=600).returncode, 0)
        np.testing.assert_array_equal(np.load(os.path.join(self.path("npy"), "part-000005.npy")), made[450:])
        again = subprocess.run(line, capture_output=True, text=True, timeout=600)
        self.assertEqual((again.returncode, again.stderr.count("\n")), (1, 1), again.stderr)


if __name__ == "__main__":
    unittest.main()
