#!/usr/bin/env python3
"""agreement_test TOOL: tools/study_agreement.py on made-up studies: the same, one that moved, ones that can't be compared."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOL = sys.argv[1]
MAKE = Path(__file__).with_name("make_study.py")


class Agreement(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.one, self.other = Path(self.folder.name) / "one", Path(self.folder.name) / "other"
        for folder in (self.one, self.other):
            subprocess.run([sys.executable, MAKE, folder, "1"], check=True)

    def change(self, edit):
        path = self.other / "study.json"
        study = json.loads(path.read_text())
        edit(study)
        path.write_text(json.dumps(study))

    def compare(self, code):
        done = subprocess.run([sys.executable, TOOL, self.one, self.other], capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_the_same(self):
        self.assertIn("texts/s: 12 of 12 agree", self.compare(0))

    def test_within_the_interval(self):
        def edit(study):
            rate = study["configurations"][0]["throughput"]["texts_per_s"]
            rate.update({key: 1.04 * value for key, value in rate.items()})
        self.change(edit)
        self.compare(0)

    def test_one_moved(self):
        def edit(study):
            row = study["configurations"][2]
            rate = row["throughput"]["texts_per_s"]
            rate.update({key: 1.2 * value for key, value in rate.items()})
            row["latency"].update({f"p50_{end}ms": 2 * row["latency"][f"p50_{end}ms"] for end in ("", "low_", "high_")})
            row["validation"]["cosine_mean"] -= 0.001
        self.change(edit)
        said = self.compare(1)
        self.assertIn("texts/s, ONNX Runtime (single): 110 (106.7 to 113.3) and 132", said)
        self.assertIn("+20.0 %", said)
        for line in ("texts/s: 11 of 12 agree", "p50 (ms): 11 of 12 agree", "cosine: 23 of 24 agree",
                     "x baseline: 11 of 11 agree"):
            self.assertIn(line, said)

    def test_one_is_missing(self):
        self.change(lambda study: study["configurations"][13].update(state="failed"))
        self.assertIn("texts/s, senvec int8 (batch=32): in one of them only", self.compare(1))

    def test_another_machine_is_named(self):
        self.change(lambda study: study["environment"]["machine"].update(cpu="Another CPU"))
        self.assertIn("another CPU", self.compare(0))

    def test_no_study(self):
        (self.other / "study.json").unlink()
        self.assertIn("study.json", self.compare(2))


unittest.main(argv=sys.argv[:1])
