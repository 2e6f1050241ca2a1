#!/usr/bin/env python3
"""services_test SENVEC MODEL: services that run are asked over HTTP beside `senvec serve`; what each is goes into files."""
import contextlib
import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SENVEC, MODEL = sys.argv[1:3]


class Stub(BaseHTTPRequestHandler):
    """TEI's dialect with vectors of ones; under /refuse it refuses, under /other it serves another model."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]
        dimensions = 7 if self.path == "/other" else 32
        body = json.dumps([[1.0] * dimensions for _ in texts]).encode()
        self.send_response(403 if self.path == "/refuse" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # a run under load ends without waiting for all
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Services(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = Path(folder.name, "results")
        self.stub = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
        self.addCleanup(self.stub.server_close)
        self.addCleanup(self.stub.shutdown)
        threading.Thread(target=self.stub.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.stub.server_port}"

    def senvec(self, stage, *more):
        return subprocess.run([SENVEC, "study", stage, "-o", self.out, "--quick", "--duration", "0.04", "-q", *more],
                              capture_output=True, text=True, timeout=900, check=False)

    def begin(self):
        done = self.senvec("bench", "-m", MODEL, "--peers", "none", "--rounds", "2", "--calls", "2")
        self.assertEqual(done.returncode, 0, done.stderr)

    def found(self):
        return json.loads((self.out / "study.json").read_text())["services"] or {"runs": [], "rows": []}

    def test_it_goes_on_wherever_it_was_cut(self):
        """Ctrl-C or a crash at random moments, and the same command again: every run is kept and none is measured twice.
        SENVEC_INTERRUPTIONS says how many; runs that are in study.json by then are random as well."""
        server = subprocess.Popen([SENVEC, "serve", "--port", "0", "-m", MODEL], stderr=subprocess.PIPE, text=True)
        self.addCleanup(server.communicate)
        self.addCleanup(server.terminate)
        service = "mine=" + next(filter(None, (re.search("http://[0-9.:]+", line) for line in server.stderr)))[0]
        moments = random.Random(int(os.environ.get("SENVEC_SEED", "1")))
        command = [SENVEC, "study", "services", "-o", self.out, "--quick", "--duration", "0.04", "-q",
                   "--service", service]
        self.begin()
        before, starts, cuts = [], None, int(os.environ.get("SENVEC_INTERRUPTIONS", "3"))
        while True:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
                                       text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            wanted = len(before) + moments.randrange(6)
            while cuts and process.poll() is None and len(self.found()["runs"]) < wanted:
                time.sleep(0.01)
            if cuts:
                cuts -= 1
                time.sleep(moments.uniform(0, 0.3))
                if process.poll() is None:
                    os.killpg(process.pid, moments.choice((signal.SIGINT, signal.SIGKILL)))
            said = process.communicate(timeout=900)[1]
            study = self.found()
            self.assertEqual(study["runs"][:len(before)], before)
            before = study["runs"]
            rows = {row["name"]: row for row in study["rows"]}
            starts = starts or rows.get("senvec serve", {}).get("cold_start_s")
            if process.returncode == 0:
                break
            self.assertIn(process.returncode, (1, -signal.SIGKILL, -signal.SIGINT), said)
            self.assertNotIn("Traceback", said)
        names = [(run["service"], run["load"], run["step"]) for run in before]
        self.assertEqual(len(names), len(set(names)))
        for name in ("senvec serve", "mine"):
            self.assertEqual(rows[name]["state"], "measured")
            self.assertIn("rate", rows[name]["best"])
            self.assertEqual({step for service, load, step in names if service == name and load == "bulk"}, {0, 1})
        self.assertEqual(rows["senvec serve"]["cold_start_s"], starts)
        self.assertEqual([path.name for path in self.out.iterdir() if path.name.startswith(".") or "tmp" in path.name], [])
        # It is done now, so the same command measures it anew, also after it was cut at once.
        again = self.senvec("services", "--service", service)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertNotEqual(self.found()["runs"][0], before[0])

    def test_rows(self):
        self.begin()
        done = self.senvec("services")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
        self.assertIn("--service", done.stderr)
        for wrong in ("nameless", "a=ftp://x", f"a={self.url},grpc,x", "senvec serve=" + self.url):
            done = self.senvec("services", "--service", wrong)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)

        done = self.senvec("services", "--service", f"mine={self.url},tei", "--service", "down=http://127.0.0.1:1",
                           "--service", f"refuses={self.url}/refuse,tei", "--service", f"other={self.url}/other,tei,a model")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads((self.out / "study.json").read_text())["services"]
        rows = {row["name"]: row for row in found["rows"]}
        self.assertEqual({name: row["state"] for name, row in rows.items()},
                         {"senvec serve": "measured", "mine": "measured", "down": "missing", "refuses": "missing",
                          "other": "failed"})
        self.assertIn("403", rows["refuses"]["reason"])
        self.assertIn("7 numbers, the model's 32", rows["other"]["reason"])
        self.assertEqual(rows["other"]["model"], "a model")
        self.assertGreater(rows["senvec serve"]["cosine_min"], 0.999)
        self.assertLess(rows["mine"]["cosine_mean"], 0.9)
        self.assertGreater(rows["senvec serve"]["cold_start_s"], 0)
        for name in ("senvec serve", "mine"):
            for load in ("single", "together", "bulk"):
                rate = rows[name]["loads"][load]["texts_per_s"]
                self.assertGreater(rate["value"], 0)
                self.assertLessEqual(rate["low"], rate["high"])
            self.assertIn("rate", rows[name]["best"])
        self.assertEqual({run["service"] for run in found["runs"]}, {"senvec serve", "mine"})
        for name in rows:
            self.assertIn(name, done.stdout)
        with open(self.out / "services.csv", newline="", encoding="utf-8") as file:
            self.assertEqual({row["Service"]: row["State"] for row in csv.DictReader(file)},
                             {name: row["state"] for name, row in rows.items()})
        with open(self.out / "service_curves.csv", newline="", encoding="utf-8") as file:
            curves = list(csv.DictReader(file))
        self.assertEqual(len(curves), sum(run["load"] == "curve" for run in found["runs"]))


unittest.main(argv=sys.argv[:1])
