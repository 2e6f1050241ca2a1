"""senvec.ray with two actors: the vectors of `senvec embed`, bit for bit, also when an actor is killed while it works."""

import os
import signal
import tempfile
import time
import unittest
from unittest import mock

import numpy as np
from cluster import TINY, embedded, make_texts

os.environ["RAY_DEDUP_LOGS"] = os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
try:
    import pyarrow as pa
    import ray

    from senvec import ray as senvec_ray
except ImportError as cause:
    raise unittest.SkipTest(str(cause)) from None


def meeting(folder):
    """An Embedder that adds a column of the actor's process. An actor's first batch waits until another has one, too, so that
    it isn't chance who gets the batches."""

    class Meeting(senvec_ray.Embedder):
        def __call__(self, table):
            open(os.path.join(folder, str(os.getpid())), "w").close()
            end = time.monotonic() + 120
            while len(os.listdir(folder)) < 2:
                if time.monotonic() > end:
                    raise TimeoutError("the other actor has no batch")
                time.sleep(0.05)
            return super().__call__(table).append_column("actor", pa.array([os.getpid()] * len(table)))

    return Meeting


class KilledOnce(senvec_ray.Embedder):
    """The first actor that has two batches ends there, as if the machine took its process."""

    def __init__(self, *arguments, marker, **named):
        super().__init__(*arguments, **named)
        self.marker, self.calls = marker, 0

    def __call__(self, table):
        self.calls += 1
        if self.calls == 2:
            try:
                os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(table)


def start():
    """Ray gives a node 30 seconds to start, too few on a busy machine; the next attempt finds its files in memory."""
    for attempts in reversed(range(5)):
        try:
            ray.init(num_cpus=3, include_dashboard=False, object_store_memory=200 << 20, log_to_driver=False,
                     logging_level="ERROR")
            return
        except Exception as cause:
            ray.shutdown()
            if not attempts or "timed out during startup" not in str(cause):
                raise


class Ray(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.texts = make_texts(6000)
        cls.expected = embedded(cls.texts, cls.folder.name)
        start()
        cls.addClassCleanup(ray.shutdown)
        cls.block = ray.data.from_arrow(pa.table({"row": range(len(cls.texts)), "text": cls.texts}))
        cls.dataset = cls.block.repartition(12)

    def check(self, made):
        rows = pa.concat_tables(ray.get(made.to_arrow_refs())).sort_by("row")
        self.assertEqual(rows.column("row").to_pylist(), list(range(len(self.texts))))
        np.testing.assert_array_equal(np.array(rows.column("embedding").to_pylist(), np.float32), self.expected)
        return rows

    def test_embed(self):
        self.check(senvec_ray.embed(self.dataset, "text", model=TINY, compute="fp32", keep=["row"], actors=2,
                                    batch_size=500))

    def test_large_block(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(senvec_ray, "Embedder", meeting(folder)):
            rows = self.check(senvec_ray.embed(self.block, model=TINY, compute="fp32", actors=2, batch_size=500))
        self.assertEqual(len(rows.column("actor").unique()), 2)

    def test_actor_killed(self):
        marker = os.path.join(self.folder.name, "killed")
        made = self.dataset.map_batches(
            KilledOnce, fn_constructor_kwargs={"model": TINY, "compute": "fp32", "marker": marker}, batch_format="pyarrow",
            batch_size=500, compute=ray.data.ActorPoolStrategy(size=2), num_cpus=1)
        self.check(made)
        self.assertTrue(os.path.exists(marker))

    def test_refused(self):
        with self.assertRaisesRegex(ValueError, "precision='int4'"):
            senvec_ray.embed(self.dataset, precision="int4")
