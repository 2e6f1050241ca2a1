#!/usr/bin/env python3
"""measure_cluster spark|ray --model M: rate and memory of senvec.spark in two executors of a core each, or of senvec.ray with
two actors, beside one process with two threads, on this machine; it should have nothing else to do.

The rate is that of the texts between a short run and a long one, so that no start counts: seconds of the clock, and of the CPU
in all processes of the cluster, for a machine that is busy. Memory is the proportional set size (PSS) of the workers that have
a model, and what of it is packed weights, which they map from one file; beside a worker alone.

PYTHONPATH has to find the package, SENVEC_LIBRARY a library. Needs pyspark and Java, or ray: tests/cluster/requirements.txt.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from measure_batch import corpus

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = 8

ALONE = """
import sys, time
import pyarrow.parquet
from senvec import SentenceTransformer
from senvec._column import Vectors
model, precision, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
vectors = Vectors(SentenceTransformer(model, precision=precision, threads=threads, share_weights=True), "float32", {})
for line in sys.stdin:
    begin = time.perf_counter(), time.process_time()
    for batch in pyarrow.parquet.ParquetDataset(line.strip()).read().to_batches(4096):
        vectors.add_to(batch, "text", None)
    print(time.perf_counter() - begin[0], time.process_time() - begin[1], flush=True)
"""


# ------------------------------------------------------------------------------------------------------------- processes


def tree(root: int) -> dict[int, float]:
    """CPU seconds of a process and all below it, with those of children that have ended."""
    parents, seconds = {}, {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry)] = int(fields[1])
        seconds[int(entry)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def below(process: int) -> bool:
        while process > 1 and process != root:
            process = parents.get(process, 0)
        return process == root

    return {process: seconds[process] for process in parents if below(process)}


def shares(process: int) -> tuple[float, float] | None:
    """PSS of a process, and of the packed weights that it maps, in MB; None: it has none."""
    total = packed = 0
    inside = False
    try:
        with open(f"/proc/{process}/smaps", encoding="utf-8", errors="replace") as file:
            for line in file:
                words = line.split()
                if not words[0].endswith(":"):
                    inside = "/packed/" in line
                elif words[0] == "Pss:":
                    total += int(words[1])
                    packed += int(words[1]) if inside else 0
    except OSError:
        return None
    return (total / 1024, packed / 1024) if packed else None


class Watch:
    """Looks every 100 ms at the processes below this one that have mapped packed weights; keeps the fullest picture."""

    def __init__(self) -> None:
        self.best: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            found = [facts for process in tree(os.getpid()) if (facts := shares(process))]
            if (len(found), sum(total for total, _ in found)) > (len(self.best), sum(total for total, _ in self.best)):
                self.best = found

    def close(self) -> list[tuple[float, float]]:
        self._stop.set()
        self._thread.join()
        return self.best


# -------------------------------------------------------------------------------------------------------------- clusters


class Alone:
    """One process."""

    def __init__(self, arguments: argparse.Namespace, threads: int):
        self._process = subprocess.Popen([sys.executable, "-c", ALONE, arguments.model, arguments.precision, str(threads)],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, folder: str) -> np.ndarray:
        """[seconds, CPU seconds]"""
        self._process.stdin.write(folder + "\n")
        self._process.stdin.flush()
        return np.array(self._process.stdout.readline().split(), float)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def measured(work: Callable[[], Any]) -> np.ndarray:
    """[seconds, CPU seconds of all processes below this one]"""
    before, begin = sum(tree(os.getpid()).values()), time.perf_counter()
    work()
    return np.array([time.perf_counter() - begin, sum(tree(os.getpid()).values()) - before])


class Spark:
    """Two executors with a core and a Python worker each."""

    def __init__(self, arguments: argparse.Namespace, folder: str):
        os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        from pyspark.sql import SparkSession

        self._arguments = arguments
        builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("senvec")
        for name, value in {
            "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.driver.host": "127.0.0.1",
            "spark.local.dir": folder, "spark.sql.warehouse.dir": folder, "spark.log.level": "ERROR",
            "spark.sql.files.openCostInBytes": "0",
            **{f"spark.executorEnv.{name}": os.environ[name] for name in ("PYTHONPATH", "SENVEC_LIBRARY")},
        }.items():
            builder = builder.config(name, value)
        self._session = builder.getOrCreate()

    def run(self, folder: str) -> np.ndarray:
        from senvec import spark

        frame = spark.embed(self._session.read.parquet(folder), "text", model=self._arguments.model,
                            compute=self._arguments.precision)
        return measured(lambda: frame.write.format("noop").mode("overwrite").save())

    def close(self) -> None:
        self._session.stop()


class Ray:
    """Two actors with a CPU each."""

    def __init__(self, arguments: argparse.Namespace, folder: str):
        os.environ["RAY_DEDUP_LOGS"] = os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        self._ray, self._arguments = ray, arguments
        ray.init(num_cpus=3, include_dashboard=False, object_store_memory=400 << 20, log_to_driver=False, logging_level="ERROR")

    def run(self, folder: str) -> np.ndarray:
        from senvec import ray as senvec_ray

        def work() -> None:
            made = senvec_ray.embed(self._ray.data.read_parquet(folder), "text", model=self._arguments.model,
                                    compute=self._arguments.precision, actors=2)
            for _ in made.iter_internal_ref_bundles():
                pass

        return measured(work)

    def close(self) -> None:
        self._ray.shutdown()


# ---------------------------------------------------------------------------------------------------------------- report


def watched(who: Alone | Spark | Ray, source: str) -> list[tuple[float, float]]:
    watch = Watch()
    who.run(source)
    return watch.close()


def memory_of(found: list[tuple[float, float]]) -> str:
    return (f"{len(found)} of them with a model, PSS {sum(total for total, _ in found):.0f} MB, "
            f"of that packed weights {sum(packed for _, packed in found):.1f} MB")


def write(folder: str, texts: int) -> None:
    """The same texts in FILES files, so that there are tasks of equal size."""
    os.makedirs(folder)
    whole = f"{folder}.parquet"
    corpus(whole, texts)
    table = pa.parquet.read_table(whole)
    for index in range(FILES):
        part = table.slice(index * texts // FILES, (index + 1) * texts // FILES - index * texts // FILES)
        pa.parquet.write_table(part, os.path.join(folder, f"{index}.parquet"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("spark", "ray"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--precision", default="int8", help="computed in [int8]")
    parser.add_argument("--texts", type=int, default=50_000, help="of the long run; the short one has a fifth [50000]")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    arguments.model = os.path.abspath(arguments.model)
    counts = (arguments.texts // 5, arguments.texts)
    with tempfile.TemporaryDirectory() as folder:
        sources = [os.path.join(folder, str(count)) for count in counts]
        for source, count in zip(sources, counts):
            write(source, count)
        alone = Alone(arguments, 1)
        single = watched(alone, sources[0])
        alone.close()
        cluster = (Spark if arguments.what == "spark" else Ray)(arguments, folder)
        together = watched(cluster, sources[0])  # the first run opens the model and compiles the query, too
        alone = Alone(arguments, 2)
        rates: dict[str, list[np.ndarray]] = {"one process": [], arguments.what: []}
        try:
            alone.run(sources[0])
            for _ in range(arguments.rounds):
                for name, who in zip(rates, (alone, cluster)):
                    short, long = (who.run(source) for source in sources)
                    rates[name].append((counts[1] - counts[0]) / (long - short))
                    print(f"{name}: {short[0]:.1f} and {long[0]:.1f} s, {short[1]:.1f} and {long[1]:.1f} s of CPU; "
                          f"{rates[name][-1][0]:,.0f} texts/s, {rates[name][-1][1]:,.0f} for a second of CPU", flush=True)
        finally:
            cluster.close()
            alone.close()
    medians = [np.median(rates[name], axis=0) for name in rates]
    percent = 100 * medians[1] / medians[0]
    print(f"{arguments.what} has {percent[0]:.1f} % of one process's rate by the clock, {percent[1]:.1f} % by the CPU; medians "
          f"of {arguments.rounds}")
    print(f"one worker: {memory_of(single)}\nworkers of {arguments.what}: {memory_of(together)}")


if __name__ == "__main__":
    main()
