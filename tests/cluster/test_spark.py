"""senvec.spark on a cluster of two executors on this machine: the vectors of `senvec embed`, bit for bit, also when an executor
is killed while it works."""

import os
import signal
import tempfile
import threading
import time
import unittest

import numpy as np
from cluster import TINY, embedded, make_texts

try:
    from pyspark.sql import SparkSession

    from senvec import spark
except ImportError as cause:
    raise unittest.SkipTest(str(cause)) from None


def executors(parent: int) -> list[int]:
    """Processes of Spark's executors below a process."""
    parents, names = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                    parents[int(entry)] = int(file.read().rpartition(")")[2].split()[1])
                with open(f"/proc/{entry}/cmdline", encoding="utf-8", errors="replace") as file:
                    names[int(entry)] = file.read()
            except OSError:
                continue

    def below(process: int) -> bool:
        while process > 1:
            process = parents.get(process, 0)
            if process == parent:
                return True
        return False

    return [one for one, line in names.items() if "CoarseGrainedExecutorBackend" in line and "java" in line and below(one)]


class Spark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("senvec")
        settings = {
            "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false",
            "spark.sql.shuffle.partitions": "4", "spark.driver.host": "127.0.0.1",
            "spark.local.dir": cls.folder.name, "spark.sql.warehouse.dir": cls.folder.name,
            "spark.task.maxFailures": "8", "spark.log.level": "ERROR",
            **{f"spark.executorEnv.{name}": os.environ[name] for name in ("PYTHONPATH", "SENVEC_LIBRARY")},
        }
        for name, value in settings.items():
            builder = builder.config(name, value)
        cls.session = builder.getOrCreate()
        cls.addClassCleanup(cls.session.stop)
        cls.texts = make_texts(6000)
        cls.expected = embedded(cls.texts, cls.folder.name)
        cls.frame = cls.session.createDataFrame(list(enumerate(cls.texts)), "row long, text string").repartition(8).cache()

    def check(self, frame):
        rows = frame.select("row", "embedding").toArrow().sort_by("row")
        self.assertEqual(rows.column("row").to_pylist(), list(range(len(self.texts))))
        flat = rows.column("embedding").combine_chunks().flatten().to_numpy()
        np.testing.assert_array_equal(flat.reshape(len(self.texts), -1), self.expected)

    def test_column(self):
        made = spark.embed(self.frame, "text", model=TINY, compute="fp32")
        self.assertEqual(made.columns, ["row", "text", "embedding"])
        self.check(made)

        def models(batches):
            """How many models the worker has open from the tasks before."""
            for batch in batches:
                yield batch.from_pylist([{"models": len(spark._opened)}])

        counts = {row["models"] for row in self.frame.mapInArrow(models, "models long").collect()}
        self.assertIn(1, counts)
        self.assertLessEqual(counts, {0, 1})  # 0: a worker that is new

    def test_forms_and_nulls(self):
        frame = self.session.createDataFrame([(0, "a"), (1, None)], "row long, text string")
        made = spark.embed(frame, "text", model=TINY, compute="fp32", precision="int8", normalize_embeddings=True, name="v")
        self.assertEqual(made.schema["v"].dataType.simpleString(), "array<tinyint>")
        rows = {row["row"]: row["v"] for row in made.collect()}
        self.assertEqual((len(rows[0]), rows[1]), (self.expected.shape[1], None))

    def test_function_of_sql(self):
        spark.register(self.session, model=TINY, compute="fp32")
        self.frame.createOrReplaceTempView("texts")
        self.check(self.session.sql("SELECT row, senvec(text) AS embedding FROM texts"))

    def test_refused(self):
        for options, message in (({"column": "body"}, "no column 'body'"), ({"column": "row"}, "holds bigint, not strings"),
                                 ({"precision": "float16"}, "Spark has no such type")):
            with self.assertRaisesRegex(ValueError, message):
                spark.embed(self.frame, **{"model": TINY, **options})

    def test_executor_killed(self):
        java = self.session.sparkContext._gateway.proc.pid
        tracker = self.session.sparkContext.statusTracker()
        killed = []

        def kill():
            """Ends an executor as soon as a task of the job is done."""
            while not stop.is_set():
                stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
                if any(stage and 0 < stage.numCompletedTasks < stage.numTasks for stage in stages):
                    killed.append(executors(java)[0])
                    os.kill(killed[0], signal.SIGKILL)
                    return
                time.sleep(0.01)

        stop = threading.Event()
        thread = threading.Thread(target=kill)
        # Many small tasks, so that there is a middle.
        frame = spark.embed(self.frame.repartition(60), "text", model=TINY, compute="fp32")
        thread.start()
        try:
            self.check(frame)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(len(killed), 1)
