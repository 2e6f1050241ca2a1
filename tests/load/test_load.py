#!/usr/bin/env python3
"""test_load SENVEC STUB_SERVER PART: `senvec load` against a server that does what it is told, also when that is wrong.
PART: tests/support/parts.py.

Nothing here depends on how fast the machine is: it asks what was counted, not how long it took.
"""
import contextlib
import csv
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from parts import run_part  # noqa: E402

SENVEC, STUB = "", ""
PATIENCE = 300  # seconds until a test gives up: nothing takes that long, on whatever machine


@contextlib.contextmanager
def stub(*options):
    """Its address."""
    process = subprocess.Popen([STUB, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(PATIENCE)


def load(*arguments):
    return subprocess.run([SENVEC, "load", *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE)


class LoadTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)

    def measure(self, *arguments):
        """(result, the parsed --json file)."""
        path = self.path / "load.json"
        result = load("--warmup", 0, "--timeout", PATIENCE, *arguments, "--json", path, "-q")
        self.assertTrue(path.exists(), result.stderr)
        return result, json.loads(path.read_text())

    def fails(self, result, code, *words):
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for word in ("senvec load: ",) + words:
            self.assertIn(word, result.stderr)

    def test_dialects_mixes_and_loops(self):
        with stub("--delay", "fixed:1") as url:
            for dialect in ("openai", "openai-base64", "tei", "ollama"):
                loops = (("--rate", 300), ("--rate", 300, "--constant"), ("--clients", 4))
                for loop in loops if dialect == "openai" else loops[:1]:
                    arguments = ("--dialect", dialect, "--warmup", 0.1, "-b", "1:3,32:1", "-w", "4,50", *loop)
                    for seconds in (0.3, 3, 30):  # clients ask as often as the machine lets them
                        run = self.measure(url, "-d", seconds, *arguments)[1]["runs"][0]
                        if run["requests"] > 20:
                            break
                    self.assertGreater(run["requests"], 20)
                    self.assertEqual(run["outcomes"]["answered"], run["requests"], run)
                    self.assertEqual(run["statuses"], {"200": run["requests"]})
                    if "--clients" not in loop:
                        self.assertEqual(len(run["kinds"]), 4)
                    self.assertEqual(sum(kind["requests"] for kind in run["kinds"]), run["requests"])
                    self.assertGreaterEqual(run["latency_ms"]["min"], 1)

    def test_no_keep_alive_and_a_path_of_its_own(self):
        with stub() as url:
            result, run = self.measure(url + "/v1/embeddings", "--no-keep-alive", "--rate", 200, "-d", 0.5, "--form", "openai")
            self.assertIn("'--form' is called '--dialect' now", result.stderr)
            self.assertEqual(run["runs"][0]["outcomes"]["answered"], run["runs"][0]["requests"])
            self.assertFalse(run["keep_alive"])

    def test_faults_are_counted_by_kind(self):
        kinds = {"429": "refused", "503": "refused", "500": "error_status", "close": "connection_closed",
                 "cut": "connection_closed", "garbage": "malformed_answer", "hang": "timeout"}
        for fault, outcome in kinds.items():
            with self.subTest(fault), stub("--fault", f"{fault}:20") as url:
                result, run = self.measure(url, "--rate", 400, "-d", 0.3, *["--timeout", 10] * (fault == "hang"))
                run = run["runs"][0]
                counts = {name: count for name, count in run["outcomes"].items() if count}
                # The first request of the stub is the probe, which isn't counted.
                met = (run["requests"] + 1) // 20
                self.assertEqual(counts, {outcome: met, "answered": run["requests"] - met})
                self.assertEqual(result.returncode, 1)
                if outcome != "refused":
                    self.assertIn("errors: ", " ".join(run["reasons"]))

    def test_a_body_that_is_no_answer(self):
        with stub("--fault", "body:2") as url:
            _, run = self.measure(url, "--rate", 400, "-d", 0.5)
            self.assertGreater(run["runs"][0]["outcomes"]["wrong_answer"], 10)

    def test_a_first_request_that_fails_ends_it(self):
        words = {"429": "refused", "500": "status 500: {\"error\":\"as asked\"}", "close": "connection_closed",
                 "garbage": "220 stub ESMTP", "body": "neither a JSON object nor a list", "hang": "timeout"}
        for fault, word in words.items():
            with self.subTest(fault), stub("--fault", f"{fault}:1") as url:
                self.fails(load(url, "--timeout", 0.5 if fault == "hang" else PATIENCE, "-d", 0.5), 1, word)
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            self.fails(load(f"http://127.0.0.1:{port}"), 1, "Connection refused", "is the server running?")
        self.fails(load("http://a..b"), 1, "no such host")

    def test_wrong_dialect(self):
        with stub() as url:
            self.fails(load(url + "/embed", "-d", 0.5), 1, "the body has no list of vectors")

    def test_bad_command_lines(self):
        for arguments, word in ((("https://a",), "TLS"), (("a:80",), "not an http address"), ((), "URL"),
                                (("http://a", "--rate", "0"), "--rate"), (("http://a", "--rate", "5,x"), "--rate"),
                                (("http://a", "--batch", "0"), "--batch"), (("http://a", "--words", "x"), "--words"),
                                (("http://a", "--clients", 2, "--p99", 5), "closed loop"),
                                (("http://a", "--clients", 2, "--constant"), "open loop"),
                                (("http://a", "--dialect", "x"), "dialect"), (("http://a", "--api-key", "a\nb"), "API key")):
            with self.subTest(arguments):
                result = load(*arguments)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
                if word != "URL":
                    self.assertIn(word, result.stderr)
        self.fails(load("http://a", "--corpus", self.path / "none"), 1, "none")

    def test_files(self):
        corpus = self.path / "texts.jsonl"
        corpus.write_text('{"a":"ein \\"Text\\" \\u00fc\\u4e2d \\u0000"}\n{"a":""}\n')
        with stub() as url:
            result = load(url, "--timeout", PATIENCE, "--rate", "100,200", "-d", 0.5, "--corpus", corpus, "--key", "a",
                          "--samples", 10, "-q",
                          "--csv", self.path / "curve.csv", "--requests", self.path / "requests.csv")
        self.assertIn("100 requests/s, Poisson", result.stdout)
        rows = list(csv.DictReader((self.path / "curve.csv").read_text().splitlines()))
        self.assertEqual([float(row["Rate (req/s)"]) for row in rows], [100, 200])
        self.assertEqual([row["Failed"] for row in rows], ["0", "0"])
        requests = [line.split(",") for line in (self.path / "requests.csv").read_text().splitlines()]
        self.assertEqual(requests[0], ["due_s", "sent_s", "done_s", "latency_ms", "texts", "outcome", "status"])
        for row in requests[1:]:
            if row[0] != "due_s":
                self.assertAlmostEqual((float(row[2]) - float(row[0])) * 1e3, float(row[3]), places=2)
                self.assertEqual(row[4:], ["1", "answered", "200"])

    def test_the_same_seed_makes_the_same_schedule(self):
        dues = []
        with stub() as url:
            for seed in (1, 1, 2):
                load(url, "--rate", 200, "-d", 0.3, "--warmup", 0, "--seed", seed, "--requests", self.path / "r.csv")
                dues.append([line.split(",")[0] for line in (self.path / "r.csv").read_text().splitlines()])
        self.assertEqual(dues[0], dues[1])
        self.assertNotEqual(dues[0], dues[2])

    def test_a_stall_shows(self):
        with stub("--delay", "fixed:1", "--stall", "400:1") as url:
            _, run = self.measure(url, "--rate", 200, "--constant", "-d", 4)
            latency = run["runs"][0]["latency_ms"]
            self.assertGreater(latency["max"], 900)
            self.assertGreater(latency["p95"], 700)  # a quarter of the requests was due in it, evenly

    def test_search(self):
        with stub("--delay", "fixed:1", "--fault", "429:2") as url:
            result, run = self.measure(url, "--p99", 50, "--rate", 4, "-d", 0.2, "--samples", 10)
            self.assertEqual(result.returncode, 1)  # half are refused at any rate
            self.assertEqual(run["search"]["best_rate"], 0)
            self.assertIn("none", result.stdout)

    def test_interrupted(self):
        path, log = self.path / "load.json", self.path / "log"
        with stub("--log", log) as url:
            process = subprocess.Popen([SENVEC, "load", url, "-d", "3600", "--json", path], stdout=subprocess.PIPE, text=True)
            until = time.monotonic() + PATIENCE
            while log.read_text().count("\n") < 10 and time.monotonic() < until:  # the first one is the probe
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=PATIENCE)
            self.assertIn("INVALID: the run was cut short", out)
            self.assertEqual(process.returncode, 1)
            self.assertEqual(json.loads(path.read_text())["runs"][0]["valid"], False)

    def test_a_server_that_goes_away(self):
        with stub("--fault", "exit:100") as url:
            _, run = self.measure(url, "--rate", 200, "-d", 2)
        outcomes = run["runs"][0]["outcomes"]
        self.assertGreater(outcomes["answered"], 50)
        self.assertGreater(outcomes["no_connection"], 20)
        self.assertEqual(sum(outcomes.values()), run["runs"][0]["requests"])


if __name__ == "__main__":
    SENVEC, STUB = sys.argv[1:3]
    run_part(sys.argv[3])
