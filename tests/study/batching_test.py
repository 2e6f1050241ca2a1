#!/usr/bin/env python3
"""batching_test SENVEC MODEL: `senvec batching` adds single texts under load to a study, in its files and nowhere else."""
import csv
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SENVEC, MODEL = sys.argv[1:3]
POLICIES = {"slo", "greedy", "fixed"}


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Batching(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = Path(folder.name, "results")

    def senvec(self, command, *more):
        arguments = ["-m", MODEL, "--out", self.out, "--peers", "none", "--quick", "--duration", "0.04", "-q", *more]
        return subprocess.run([SENVEC, "study", command, *arguments], capture_output=True, text=True, timeout=900, check=False)

    def test_without_a_study(self):
        done = self.senvec("batching")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertIn("study.json", done.stderr)

    def test_it_adds(self):
        done = self.senvec("bench", "--rounds", "2", "--calls", "4")
        self.assertEqual(done.returncode, 0, done.stderr)
        before = {row["Configuration"]: row for row in table(self.out / "benchmark_results.csv")}
        done = self.senvec("batching")
        self.assertEqual(done.returncode, 0, done.stderr)

        curves = table(self.out / "load_curves.csv")
        self.assertEqual({(row["Policy"], row["Texts"]) for row in curves},
                         {(policy, texts) for policy in POLICIES for texts in ("corpus", "mixed")})
        for row in curves:
            self.assertIn(row["State"], ("VALID", "INVALID"))
            self.assertEqual(row["State"] == "VALID", not row["Reason"], row)
            self.assertLessEqual(int(row["Answered"]) + int(row["Refused"]), int(row["Requests"]))
            shown = [float(row[name]) for name in ("p50 (ms)", "p95 (ms)", "p99 (ms)", "p99.9 (ms)") if row[name]]
            self.assertEqual(shown, sorted(shown))

        after = {row["Configuration"]: row for row in table(self.out / "benchmark_results.csv")}
        [under_load] = [name for name in after if re.fullmatch(r"senvec (fp32|bf16|int8) \+ adaptive batching", name)]
        self.assertEqual(before.pop(under_load)["Throughput (req/s)"], "")  # planned, not measured yet
        measured = after.pop(under_load)["Throughput (req/s)"]
        self.assertEqual(after, before)

        kept = json.loads((self.out / "study.json").read_text())["batching"]
        self.assertEqual({best["policy"] for best in kept["best"]}, POLICIES)
        [slo] = [best for best in kept["best"] if best["policy"] == "slo"]
        self.assertEqual(bool(measured), bool(slo["rate"]))
        for best in kept["best"]:
            if best["rate"]:
                self.assertIn(f"policy {best['policy']}:\n  {best['rate']:.0f} single texts/s", done.stdout)


unittest.main(argv=sys.argv[:1])
