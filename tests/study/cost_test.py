#!/usr/bin/env python3
"""cost_test SENVEC: what other machines would cost, computed once more from study.json and the table of machines."""
import csv
import json
import math
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SENVEC = sys.argv[1]
MAKE = Path(__file__).parents[1] / "report/make_study.py"
TABLE = Path(__file__).parents[2] / "programs/results/instances.csv"


class Cost(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)
        subprocess.run([sys.executable, MAKE, self.path, "1", "--whole"], check=True)

    def cost(self, *more):
        return subprocess.run([SENVEC, "study", "cost", "-o", self.path, *map(str, more)], capture_output=True, text=True,
                              check=False)

    def study(self):
        return json.loads((self.path / "study.json").read_text())

    def expected(self, machine, load, p99):
        """texts/s, held/s, replicas, USD a month, by the table's own columns."""
        study = self.study()
        rows = [r for r in study["configurations"] if r["runtime"] == "senvec" and r["batch"] > 1 and r["state"] == "measured"]
        here = max(rows, key=lambda r: r["throughput"]["texts_per_s"]["value"])
        speed = here["throughput"]["texts_per_s"]["value"]
        macs = here["throughput"]["tokens_per_s"] / speed * study["peak"]["linear_macs_per_token"]
        texts = 0
        for precision in ("INT8", "BF16", "FP32"):
            same = machine["ISA"] == "avx2" and precision.lower() == here["precision"]
            fraction = here["throughput"]["peak_percent"] / 100 if same else float(machine[f"{precision} Fraction"])
            peak = float(machine["Cores"]) * float(machine["GHz"]) * 1e9 * float(machine[f"{precision} MAC/cycle"])
            texts = max(texts, peak * fraction / macs)
        runs = [run for run in study["batching"]["runs"] + study["batching"]["best"]
                if run["policy"] == "slo" and run.get("valid") and run["set"] == "corpus" and run["latency_ms"]["p99"] <= p99]
        most = study["batching"]["best"][0]["rate"] if p99 <= 50 else math.inf
        held = max((run["rate"] for run in runs if run["rate"] <= most), default=math.nan) * texts / speed
        replicas = math.ceil(load / held) if held == held else None
        return texts, held, replicas, replicas and replicas * 730 * float(machine["USD per hour"])

    def check(self, load, p99, table):
        with open(table, newline="", encoding="utf-8") as file:
            machines = list(csv.DictReader(file))
        with open(self.path / "instances.csv", newline="", encoding="utf-8") as file:
            first, *rows = csv.DictReader(file)
        self.assertEqual((first["Instance"], first["Predicted"], len(rows)), ("this machine", "no", len(machines)))
        for machine, row in zip(machines, rows):
            texts, held, replicas, month = self.expected(machine, load, p99)
            self.assertEqual((row["Instance"], row["Predicted"], row["Date"]), (machine["Instance"], "yes", machine["Date"]))
            self.assertAlmostEqual(float(row["Throughput (req/s)"]), texts, 1)
            million = float(machine["USD per hour"]) / texts / 3600 * 1e6
            self.assertAlmostEqual(float(row["Cost per 1M requests ($)"]), million, 6)
            if replicas:
                self.assertAlmostEqual(float(row["Held (req/s)"]), held, 1)
                self.assertEqual(int(row["Replicas"]), replicas)
                self.assertAlmostEqual(float(row["Cost per month ($)"]), month, 2)
            else:
                self.assertEqual(row["Replicas"] + row["Cost per month ($)"], "")

    def test_figures(self):
        study = self.study()
        for row in study["configurations"]:  # as the engine says it
            if row["runtime"] == "senvec":
                row["worker"]["settings"] = {"ISA tier": "avx2"}
        (self.path / "study.json").write_text(json.dumps(study))
        for load, p99 in ((7000, 20), (10, 1)):
            done = self.cost("--load", load, "--p99", p99)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.check(load, p99, TABLE)
        own = self.path / "own.csv"
        head = TABLE.read_text().splitlines()[0]
        own.write_text(head + "\nMine,box,8,8,Some CPU,avx2,2.5,26,0,16,0.5,0,0.5,0.01,2026-02-03,my desk\r\n\n")
        self.assertEqual(self.cost("--instances", own, "--p99", 200, "--price", 1).returncode, 0)
        self.check(10, 200, own)  # the load is the one from before

    def test_mistakes(self):
        lines = TABLE.read_text().splitlines()
        for text, words in (("", ("no instance type",)), ("Provider,Name\n", ("line 1", "16 fields")),
                            (lines[0].replace("GHz", "MHz"), ("column 7", '"GHz"')), (lines[0] + "\na,b\n", ("line 2",)),
                            (lines[0] + "\n" + lines[1].replace("3.3", "fast"), ("line 2", "GHz", '"fast"')),
                            (lines[0] + "\n" + lines[1] + ",\n", ("line 2",))):
            (self.path / "bad.csv").write_text(text)
            before = (self.path / "study.json").read_bytes()
            done = self.cost("--instances", self.path / "bad.csv")
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
            for word in ("bad.csv", *words):
                self.assertIn(word, done.stderr)
            self.assertEqual((self.path / "study.json").read_bytes(), before)
        for option in (("--load", "0"), ("--p99", "never")):
            self.assertEqual(self.cost(*option).returncode, 2)


unittest.main(argv=sys.argv[:1])
