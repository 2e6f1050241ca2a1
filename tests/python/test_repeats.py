"""Texts whose vectors are known, from the same run or from a store: the result is the same, and they aren't computed again."""

import os
import random
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np

from senvec import SentenceTransformer
from tiny_model import TINY

try:
    import pyarrow as pa
    import pyarrow.parquet

    from senvec import batch
    from senvec._repeats import Repeats
except ImportError:
    pa = None

from senvec.store import VectorStore, space_of


class Keys(unittest.TestCase):
    """The index of a run, against a dict."""

    @unittest.skipIf(pa is None, "no pyarrow")
    def test_index(self):
        rng = random.Random(1)
        known = {}
        with tempfile.TemporaryDirectory() as folder:
            index = Repeats(folder, 8, 3000)
            self.assertEqual(os.listdir(folder), [])
            for _ in range(60):
                keys = [rng.randrange(5000).to_bytes(16, "little") for _ in range(100)]
                keys = list(dict.fromkeys(keys))
                out = np.zeros((len(keys), 1), np.int64)
                left = index.take(keys, out)
                expected = [at for at, key in enumerate(keys) if key not in known]
                self.assertEqual(left.tolist(), expected)
                for at, key in enumerate(keys):
                    if key in known:
                        self.assertEqual(out[at, 0], known[key])
                rows = np.array([[rng.randrange(1 << 40)] for _ in left], np.int64).reshape(-1, 1)
                index.add([keys[at] for at in left], rows)
                for at, row in list(zip(left, rows[:, 0]))[: 3000 - len(known)]:
                    known[keys[at]] = row
            self.assertTrue(index.full)
            self.assertEqual(len(known), 3000)
            index.close()

    @unittest.skipIf(pa is None, "no pyarrow")
    def test_full_disk(self):
        with tempfile.TemporaryDirectory() as folder:
            index = Repeats(folder, 8)
            index.add([bytes(16)], np.ones((1, 1), np.int64))
            with mock.patch("os.pwrite", side_effect=OSError(28, "No space left on device")):
                index.add([bytes([1] * 16)], np.ones((1, 1), np.int64))
            self.assertTrue(index.full)
            out = np.zeros((2, 1), np.int64)
            self.assertEqual(index.take([bytes(16), bytes([1] * 16)], out).tolist(), [1])
            self.assertEqual(out[0, 0], 1)
            index.close()


@unittest.skipIf(pa is None, "no pyarrow")
class Known(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.model = SentenceTransformer(TINY, precision="fp32")
        rng = random.Random(2)
        self.distinct = [f"text number {index} " + "word " * (index % 20) for index in range(400)]
        self.texts = self.distinct + [rng.choice(self.distinct) for _ in range(600)]
        rng.shuffle(self.texts)
        self.texts[500] = None
        self.input = self.path("in.parquet")
        pa.parquet.write_table(pa.table({"text": self.texts}), self.input, row_group_size=64)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_of(self, name, **options):
        counts = batch.embed(self.input, self.path(name), model=self.model, rows=300, **options)
        files = []
        for shard in sorted(set(os.listdir(self.path(name))) - {batch.MANIFEST}):
            with open(os.path.join(self.path(name), shard), "rb") as file:
                files.append(file.read())
        return files, [counts[member] for member in ("computed", "repeated", "stored")]

    def test_repeats(self):
        for options in ({}, {"precision": "int8", "normalize_embeddings": True}):
            plain, _ = self.run_of(f"plain{len(options)}", repeats=0, **options)
            made, counts = self.run_of(f"made{len(options)}", **options)
            self.assertEqual(made, plain)
            distinct = len(set(self.texts) - {None})
            self.assertEqual(counts, [distinct, 1000 - distinct, 0])
            self.assertEqual(self.run_of(f"few{len(options)}", repeats=50, **options)[0], plain)

    def test_store(self):
        store = self.path("store")
        distinct = len(set(self.texts) - {None})
        plain, _ = self.run_of("plain", repeats=0)
        self.assertEqual(self.run_of("first", store=store), (plain, [distinct, 1000 - distinct, 0]))
        self.assertEqual(self.run_of("second", store=store), (plain, [0, 1000 - distinct, distinct]))
        cut = {"precision": "ubinary", "truncate_dim": 16}
        self.assertEqual(self.run_of("other", store=store, **cut)[1][2], 0)  # another space
        self.assertEqual(self.run_of("once more", store=store, precision="int8"),
                         (self.run_of("int8", repeats=0, precision="int8")[0], [0, 1000 - distinct, distinct]))
        changed = SentenceTransformer(TINY, precision="fp32", max_seq_length=4)
        self.assertNotEqual(space_of(changed, {}), space_of(self.model, {}))
        self.assertNotEqual(space_of(self.model, {"prompt": "q: "}), space_of(self.model, {}))

    def test_not_a_store(self):
        import sqlite3

        with open(self.path("text"), "w", encoding="utf-8") as file:
            file.write("some text that is no database at all\n" * 100)
        with sqlite3.connect(self.path("another")) as other:
            other.execute("CREATE TABLE mine (a)")
        other.close()
        for name in ("text", "another"):
            with self.assertRaisesRegex(ValueError, "no store of vectors, or a broken one"):
                self.run_of(f"out of {name}", store=self.path(name))
            self.assertFalse(os.path.exists(self.path(f"out of {name}")))
        with self.assertRaisesRegex(OSError, "the store can't be used"):
            self.run_of("out", store=self.path("no/such/folder/store"))

    def test_processes_and_crashes(self):
        """Processes that add the same and other vectors at the same time, some of them killed: what is there is right."""
        store = self.path("store")
        code = (
            "import os, sys\nimport numpy as np\nfrom senvec import store\n"
            "number, kill = int(sys.argv[1]), int(sys.argv[2])\n"
            f"made = store.VectorStore({store!r}, {{'dimensions': 8}})\n"
            "print('open', flush=True)\n"
            "sys.stdin.readline()\n"
            "for turn in range(40):\n"
            "    first = turn * 10 + number\n"
            "    keys = [index.to_bytes(16, 'little') for index in range(first, first + 20)]\n"
            "    if turn == kill:\n"
            "        made._writer.set_trace_callback(lambda line: line == 'COMMIT' and os.kill(os.getpid(), 9))\n"
            "    made.add(keys, np.repeat(np.arange(first, first + 20, dtype=np.float32)[:, None], 8, 1))\n"
        )
        kills = (-1, 7, 20, -1)
        processes = [subprocess.Popen([sys.executable, "-c", code, str(number), str(kill)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True) for number, kill in enumerate(kills)]
        for process in processes:
            self.assertEqual(process.stdout.readline(), "open\n")
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        for process, kill in zip(processes, kills):
            process.communicate(timeout=600)
            self.assertEqual(process.returncode, 0 if kill < 0 else -9)
        made = VectorStore(store, {"dimensions": 8})
        keys = [index.to_bytes(16, "little") for index in range(500)]
        found, vectors = made.get(keys)
        self.assertEqual(sorted(found), list(range(413)))
        self.assertEqual(len(made), 413)
        np.testing.assert_array_equal(vectors, np.repeat(np.asarray(found, np.float32)[:, None], 8, 1))
        made.close()

    def test_store_that_fails(self):
        made = VectorStore(self.path("store"), {"dimensions": 8})
        made._writer.execute("PRAGMA max_page_count = 8")  # as a full disk
        with self.assertLogs("senvec", "WARNING") as logged:
            for first in range(0, 4000, 100):
                made.add([index.to_bytes(16, "little") for index in range(first, first + 100)], np.ones((100, 8), np.float32))
        self.assertEqual(len(logged.output), 1)
        count = len(made)
        self.assertTrue(0 < count < 4000 and count % 100 == 0, count)
        made.close()


if __name__ == "__main__":
    unittest.main()
