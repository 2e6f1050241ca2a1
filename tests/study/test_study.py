#!/usr/bin/env python3
"""test_study SENVEC MODEL PART: the study from end to end on the tiny model: its files, its stages one by one, bad input,
interruption. PART: tests/support/parts.py.

The peers' place is taken by stub_worker.py, so no Python package is needed.
"""
import contextlib
import csv
import fcntl
import json
import os
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from parts import run_part  # noqa: E402

SENVEC, MODEL = "", Path()
PATIENCE = 900  # seconds until a test gives up: nothing takes that long, on whatever machine
STUB = Path(__file__).with_name("stub_worker.py")
SHORT = ["--no-report", "--rounds", "2", "--calls", "4", "--duration", "0.04", "-q"]
ROWS = ["senvec fp32 (single)", "senvec fp32 (batch=32)"]
PEERS = ["PyTorch (single)", "PyTorch (batch=32)"]
FILES = ["benchmark_results.csv", "cost_analysis.csv", "batch_throughput.csv", "text_lengths.csv", "use_cases.csv",
         "load_curves.csv", "instances.csv", "validation.csv", "validation_texts.csv", "latency_data.json",
         "environment.json", "study.json", "senvec_int8.safetensors"]


STAGES = {"bench", "sweep", "validate", "batching", "cost", "report"}


def run(command, *arguments, **environment):
    words = ["study", command] if command in STAGES else [command]
    return subprocess.run([SENVEC, *words, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
                          env={**os.environ, **environment})


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)
        self.out = self.path / "results"

    def file(self, name, text, mode=0o644):
        path = self.path / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def study(self, *arguments, command="study", peers="none", quick=True, **environment):
        model = [] if "-m" in arguments else ["-m", MODEL]
        return run(command, *model, "--out", self.out, "--peers", peers, *["--quick"] * quick, *SHORT, *arguments,
                   *["--anew"] * (command == "bench"), **environment)

    def validated(self, *arguments, **more):
        """The two stages that most files come from, the second one with the options of the first."""
        self.succeeds(self.study(*arguments, command="bench", **more))
        return self.succeeds(run("validate", "--out", self.out, "-q"))

    def table(self, name):
        with open(self.out / name, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def loads(self, name):
        return json.loads((self.out / name).read_text())

    def succeeds(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def fails(self, result, code, *words):
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)


class Study(Case):
    def test_files(self):
        printed = self.succeeds(self.study("--seed", "7", "--price", "0.1", quick=False)).stdout
        for name in ROWS:
            self.assertIn(name, printed)
        self.assertIn("seed 7", printed)
        self.assertEqual(sorted(path.name for path in self.out.iterdir()), sorted(FILES))
        rows = self.table("benchmark_results.csv")
        self.assertEqual(list(rows[0])[:6], ["Configuration", "p50 (ms)", "p95 (ms)", "p99 (ms)", "Throughput (req/s)",
                                             "Peak Memory (MB)"])
        self.assertEqual([row["Configuration"] for row in rows][:2], ROWS)
        self.assertTrue(all(row["State"] in ("measured", "missing") for row in rows))  # missing: a CPU without such kernels
        for row in rows[:2]:
            self.assertEqual(row["State"], "measured")
            self.assertGreater(float(row["p50 (ms)"]), 0)
            self.assertGreater(float(row["Peak Memory (MB)"]), 1)
            self.assertNotEqual(row["Peak (%)"], "")  # 0.0 on a machine that was away meanwhile
            self.assertLessEqual(float(row["Throughput Low (req/s)"]), float(row["Throughput (req/s)"]))
            self.assertEqual(row["Timed Calls"], "4")
        costs = self.table("cost_analysis.csv")
        self.assertEqual(list(costs[0])[:4], ["Configuration", "Throughput (req/s)", "Requests/Hour",
                                              "Cost per 1K requests ($)"])
        for row in costs[:2]:
            expected = 0.1 / (float(row["Throughput (req/s)"]) * 3.6)
            self.assertAlmostEqual(float(row["Cost per 1K requests ($)"]), expected, delta=expected / 1000)
            self.assertGreater(float(row["Cost per 1K requests ($)"]), 0)
        # A text's vector has the same bits alone and in a batch.
        for row in self.table("validation.csv")[:4]:
            self.assertEqual(row["Reference"], ROWS[0])
            self.assertTrue(row["Texts"] == "20" if row["Texts From"] == "corpus" else int(row["Texts"]) > 180)
            self.assertEqual(float(row["Cosine Min"]), 1)
            self.assertEqual(float(row["Pairwise Error Max"]), 0)
        self.assertGreater(len(self.table("validation_texts.csv")), 20 + 180)
        samples = self.loads("latency_data.json")
        self.assertEqual([len(samples[name]) for name in ROWS], [4, 4])
        sweep = [row for row in self.table("batch_throughput.csv") if row["Configuration"] == "senvec fp32"]
        self.assertEqual(list(sweep[0])[:3], ["batch_size", "total_time_s", "throughput_rps"])
        self.assertEqual([int(row["batch_size"]) for row in sweep], [1, 4, 8, 16, 32, 64])
        for row in sweep:
            self.assertAlmostEqual(float(row["throughput_rps"]), int(row["Embedded Texts"]) / float(row["total_time_s"]), 1)
        lengths = {row["Texts"] for row in self.table("text_lengths.csv") if row["Configuration"] == ROWS[0]}
        self.assertEqual(lengths, {"query", "80 tokens", "256 tokens"})
        self.assertGreater(float(self.table("use_cases.csv")[0]["New Listing p50 (ms)"]), 0)
        study = self.loads("study.json")
        self.assertEqual(study["schema_version"], 1)
        self.assertEqual(study["options"]["seed"], 7)
        self.assertEqual(study["drift"], 0)  # two rounds can't tell
        for row in study["configurations"][:2]:
            self.assertEqual([block["round"] for block in row["throughput"]["blocks"]], [0, 1])
            self.assertGreater(row["throughput"]["peak_percent"], 0)
            self.assert_interval(row["latency"], [2, 2])
        for entry in study["series"]:
            if entry["kind"] == "length" and entry["batch"] == 1 and entry["configuration"] in ROWS:
                self.assert_interval(entry["latency"], [1, 1])
        environment = self.loads("environment.json")
        self.assertEqual(len(environment["model"]["files"]["model.safetensors"]["sha256"]), 64)
        self.assertIn("--seed 7", environment["repeat"])
        self.assertEqual(environment["texts"]["used"], 1000)
        self.check_load()

    def assert_interval(self, latency, calls):
        self.assertEqual(latency["block_calls"], calls)
        self.assertLessEqual(latency["p50_low_ms"], latency["p50_ms"])
        self.assertLessEqual(latency["p50_ms"], latency["p50_high_ms"])

    def check_load(self):
        """What the test of the files goes on with: single texts under load, by policy and as a configuration."""
        study, rows = self.loads("study.json"), self.table("benchmark_results.csv")
        load, row = study["batching"], rows[-1]
        self.assertEqual(row["Configuration"], "senvec int8 + adaptive batching")
        self.assertEqual([run["policy"] for run in load["best"]], ["slo", "greedy", "fixed"])
        self.assertEqual({run["policy"] for run in load["runs"]}, {"slo", "greedy", "fixed"})
        self.assertTrue(all(run["valid"] or run["reasons"] for run in load["runs"]))
        curves = self.table("load_curves.csv")
        self.assertEqual({line["Texts"] for line in curves}, {"corpus", "mixed"})
        self.assertEqual(len(curves), sum(len(run["kinds"]) for run in load["runs"]))
        best = load["best"][0]
        if not best["rate"]:  # a machine on which nothing keeps the bound
            self.assertEqual(row["State"], "missing")
            self.assertIn("50 ms", row["Reason"])
            return
        self.assertEqual(row["State"], "measured")
        self.assertTrue(best["valid"] and best["latency_ms"]["p99"] <= load["bound_ms"])
        self.assertAlmostEqual(float(row["p99 (ms)"]), best["latency_ms"]["p99"], 3)
        self.assertEqual(len(self.loads("latency_data.json")[row["Configuration"]]), best["latency_ms"]["count"])
        self.assertGreater(float(row["Peak Memory (MB)"]), 1)
        cost = self.table("cost_analysis.csv")[-1]
        hourly = float(cost["Cost per 1M requests ($)"]) * float(cost["Throughput (req/s)"]) * 3.6 / 1e3
        self.assertAlmostEqual(hourly, 0.1, delta=0.001)
        bench = next(line for line in self.table("benchmark_results.csv") if line["Configuration"] == cost["Configuration"])
        if bench["Tokens/s"]:
            hourly = float(cost["Cost per 1M tokens ($)"]) * float(bench["Tokens/s"]) * 3.6 / 1e3
            self.assertAlmostEqual(hourly, 0.1, delta=0.001)

    def test_model_size(self):
        """The int8 rows load the native file, and are as large as it is."""
        self.succeeds(self.study(command="bench"))
        sizes = {row["name"]: row["model_bytes"] for row in self.loads("study.json")["configurations"]}
        self.assertEqual(sizes["senvec int8 (single)"], (self.out / "senvec_int8.safetensors").stat().st_size)
        self.assertEqual(sizes["senvec fp32 (single)"], (MODEL / "model.safetensors").stat().st_size)

    def test_peers_run_beside_it(self):
        python = self.file("python", f"#!/bin/sh\nexec {sys.executable} {STUB}\n", 0o755)
        self.succeeds(self.study("--python", python, peers="torch", command="bench"))
        rows = self.table("benchmark_results.csv")
        self.assertEqual([row["Configuration"] for row in rows[:4]], PEERS + ROWS)
        self.assertTrue(all(row["State"] == "measured" for row in rows[:4]))
        self.assertIn(rows[0]["Speedup"], ("1.000", ""))  # none on a busy machine
        # The stub counts words; it isn't the same tokenizer, and the study says so.
        self.assertTrue(any("same work" in line for line in self.loads("study.json")["warnings"]))

    def test_a_dying_peer_is_marked(self):
        python = self.file("python", "#!/bin/sh\nread line\necho 'all is lost' >&2\nexit 9\n", 0o755)
        for command in ("bench", "validate"):
            result = self.study(peers="torch", command=command, SENVEC_PYTHON=str(python))
            self.assertEqual(result.returncode, 1)
        rows = self.table("benchmark_results.csv")
        self.assertEqual([row["State"] for row in rows[:4]], ["failed", "failed", "measured", "measured"])
        self.assertIn("exit code 9", rows[0]["Reason"])
        self.assertIn("all is lost", rows[0]["Reason"])
        self.assertEqual(self.table("validation.csv")[4]["Reference"], ROWS[0])

    def test_programs_of_others_arent_run(self):
        """What lies above the program is run only where nobody else can have put it."""
        top, ran = self.path / "top", self.path / "ran"
        for folder in ("bin", "peers", ".venv/bin"):
            (top / folder).mkdir(parents=True)
        program = shutil.copy2(SENVEC, top / "bin/senvec")
        self.file("top/peers/worker.py", "")
        python = self.file("top/.venv/bin/python", f"#!/bin/sh\ntouch {ran}\n", 0o755)
        self.assertTrue(python.exists())
        environment = {name: value for name, value in os.environ.items() if name != "SENVEC_PYTHON"}

        def runs():
            ran.unlink(missing_ok=True)
            words = ["study", "bench", "-m", MODEL, "--out", self.path / "out", "--peers", "torch", "--quick", "--anew", *SHORT]
            subprocess.run([program, *words], capture_output=True, timeout=PATIENCE, env=environment)
            return ran.exists()

        self.assertTrue(runs())
        for folder in (top, top / "peers", top / ".venv/bin"):
            folder.chmod(0o777)
            self.assertFalse(runs(), folder)
            folder.chmod(0o755)

    def test_missing_python_is_named(self):
        result = self.succeeds(self.study(peers="all", command="bench", SENVEC_PYTHON=str(self.path / "no-python")))
        self.assertIn("missing: ", result.stdout)
        self.assertIn("no-python cannot be started", result.stdout)
        states = [row["State"] for row in self.table("benchmark_results.csv")]
        self.assertEqual(states[:10], ["missing"] * 8 + ["measured"] * 2)

    def test_same_seed_same_order(self):
        orders = []
        for _ in range(2):
            self.succeeds(self.study("--seed", "3", "--rounds", "6", command="bench"))
            orders.append([[block["position"] for block in row["throughput"]["blocks"]]
                           for row in self.loads("study.json")["configurations"]])
        self.assertEqual(orders[0], orders[1])

    def test_own_texts(self):
        for name, text, options in (("t.txt", "one\ntwo\nthree\n", []),
                                    ("t.jsonl", '{"s":"one"}\n{"s":"two"}\n', ["--key", "s"]),
                                    ("t.csv", "id,s\n1,one\n2,two\n", ["--column", "s"])):
            self.validated("--corpus", self.file(name, text), *options)
            self.assertEqual([row["Text"] for row in self.table("validation_texts.csv")][:2], ["one", "two"])

    def test_one_text(self):
        self.validated("--corpus", self.file("t.txt", "a single text"))
        row = self.table("validation.csv")[0]
        self.assertEqual((row["Texts"], row["Top-10 Neighbours Found (%)"]), ("1", ""))

    def test_a_sample_of_many(self):
        corpus = self.file("t.txt", "".join(f"text number {i}\n" for i in range(5000)))
        self.validated("--corpus", corpus, "--texts", "50", "--validation-texts", "10", "--seed", "4")
        texts = self.loads("environment.json")["texts"]
        self.assertEqual((texts["in_file"], texts["used"]), (5000, 50))
        self.assertEqual([row["Texts From"] for row in self.table("validation_texts.csv")], ["corpus"] * 10 + ["wide"] * 10)


    def test_a_budget(self):
        """The least is measured whatever the budget; an interrupted study goes on with the budget that it has."""
        self.succeeds(self.study("--budget", "1s", command="bench"))
        study = self.loads("study.json")
        self.assertEqual(study["environment"]["settings"]["budget_s"], 1)
        self.assertEqual([block["round"] for block in study["configurations"][0]["throughput"]["blocks"]], [0, 1])
        self.assertGreaterEqual(study["stages"]["spent_s"], study["stages"]["rounds_s"])
        self.assertIn("--budget 1s", study["environment"]["repeat"])
        study["stages"]["done"] = []
        (self.out / "study.json").write_text(json.dumps(study))
        again = ["-m", MODEL, "--out", self.out, "-q"]
        self.fails(run("bench", *again, "--budget", "2s"), 2, "--budget")
        self.succeeds(run("bench", *again, "--budget", "1s"))
        for wrong in ("0", "soon"):
            self.fails(self.study("--budget", wrong, command="bench"), 2, "--budget")


class Models(Case):
    def test_several_models(self):
        """A study of each in a folder of its own, and a table of all; what is whole is kept while another one isn't."""
        models = [shutil.copytree(MODEL, self.path / name) for name in ("one", "two")]
        pairs = self.file("sts.csv", "one,two,1\nthe third,the third,5\nsome words,other words,3\n")
        again = ["study", "--out", self.out, "--peers", "none", "--quick", *SHORT, "--pairs", pairs, "-m", models[0], "-m",
                 models[1]]
        printed = self.succeeds(run(*again)).stdout
        self.assertEqual(sorted(path.name for path in self.out.iterdir()), ["models.csv", "one", "two"])
        self.assertRegex(printed, r"\nmodel +configuration +texts/s +USD/1M\none +senvec")
        rows = self.table("models.csv")
        self.assertEqual({row["Model"] for row in rows}, {"one", "two"})
        scored = [row for row in rows if row["Metric"]]
        self.assertEqual({row["Vectors As"] for row in scored}, {"float32", "int8", "binary", "half"})
        points = [(float(row["Cost per 1M requests ($)"]), float(row["Value"]), row["On Frontier"]) for row in scored]
        for cost, value, frontier in points:
            if frontier:  # none on a busy machine
                beaten = any(c <= cost and v >= value and (c, v) != (cost, value) for c, v, _ in points)
                self.assertEqual(frontier, "no" if beaten else "yes")
        kept = (self.out / "one/study.json").read_text()
        (self.out / "two/study.json").unlink()
        self.succeeds(run(*again))
        self.assertEqual((self.out / "one/study.json").read_text(), kept)
        self.assertTrue((self.out / "two/study.json").exists())

    def test_mistakes(self):
        self.fails(run("study", "-m", self.path / "gone", "-m", MODEL, "--out", self.out, "-q"), 1, "gone")
        for words in (["study", "-m", MODEL, "-m", f"{MODEL}/"], ["bench", "-m", MODEL, "-m", "other"],
                      ["study", "-m", MODEL, "-m", ".."]):
            self.fails(run(*words, "--out", self.out, "-q"), 2, "--model")


class Stages(Case):
    def test_one_after_the_other(self):
        self.succeeds(self.study(command="bench", quick=False))
        self.assertFalse((self.out / "validation.csv").exists())
        before = self.loads("study.json")
        self.succeeds(self.study(command="validate", quick=False))
        after = self.loads("study.json")
        self.assertEqual(after["reference"], ROWS[0])
        for old, new in zip(before["configurations"][:2], after["configurations"][:2]):
            self.assertEqual(old["throughput"]["blocks"], new["throughput"]["blocks"])
            self.assertEqual(old["latency"]["samples_ms"], new["latency"]["samples_ms"])
        self.succeeds(run("cost", "--out", self.out, "--price", "5"))
        for old, new in zip(after["configurations"][:2], self.loads("study.json")["configurations"]):
            self.assertAlmostEqual(new["cost"]["usd_per_1m_texts"] / old["cost"]["usd_per_1m_texts"], 100, 4)
            self.assertEqual(old["validation_wide"]["cosines"], new["validation_wide"]["cosines"])

    def test_sweep_resumes(self):
        self.succeeds(self.study(command="bench"))
        self.assertFalse((self.out / "batch_throughput.csv").exists())
        self.succeeds(self.study(command="sweep"))
        self.assertEqual(len([row for row in self.table("batch_throughput.csv") if row["Configuration"] == "senvec fp32"]), 6)

    def blocks(self, kind):
        return {len(entry["throughput"]["blocks"]) for entry in self.loads("study.json")["series"] if entry["kind"] == kind}

    def test_options_of_the_study_reach_its_stages(self):
        """A stage alone takes what isn't given from the study, and doesn't go on from another one's rows."""
        corpus = self.file("t.txt", "one\ntwo\nthree\n")
        self.succeeds(self.study("--corpus", corpus, "--threads", "1", "--rounds", "3", command="bench", quick=False))
        self.assertEqual(self.blocks("length"), {0, 3})
        self.succeeds(run("sweep", "--out", self.out, "-q"))
        self.assertEqual(self.blocks("sweep"), {3})
        self.succeeds(run("sweep", "--out", self.out, "-q", "--rounds", "2", "--price", "7"))
        self.assertEqual(self.blocks("sweep"), {2})
        study = self.loads("study.json")
        self.assertEqual((study["options"]["rounds"], study["options"]["usd_per_hour"]), (3, 7))
        self.assertEqual(study["environment"]["texts"]["used"], 3)
        other = self.file("o.txt", "other\n")
        for option in (["--threads", "2"], ["--peers", "torch"], ["--cpu", "ref"], ["--corpus", other]):
            self.fails(run("sweep", "--out", self.out, "-q", *option), 2, "senvec study bench")

    def test_labelled_pairs(self):
        pairs = self.file("sts.csv", "one,two,1\nthe third,the third,5\nsome words,other words,3\n")
        self.succeeds(self.study(command="bench"))
        self.succeeds(self.study("--pairs", pairs, command="validate"))
        self.assertLessEqual(abs(float(self.table("validation.csv")[0]["STS Spearman"])), 1)
        self.fails(self.study("--pairs", self.file("bad.csv", "a,b,1\na,b,x\n"), command="validate"), 1, "bad.csv", "record 2")

    def test_what_is_missing_is_named(self):
        self.fails(run("cost", "--out", self.out), 1, "study.json", "senvec study bench")
        self.fails(self.study(command="validate"), 1, "study.json", "senvec study bench")
        self.out.mkdir(exist_ok=True)
        (self.out / "study.json").write_text('{"schema_version": 1, "configurations": 3}')
        self.fails(run("cost", "--out", self.out), 1, "not a study")


class BadInput(Case):
    def test_usage(self):
        self.fails(self.study(peers="torch,caffe"), 2, "--peers", '"caffe"', "torch", "none")
        self.fails(self.study("--services", "onnx,caffe"), 2, "--services", '"caffe"', "llama", "none")
        self.fails(self.study(peers="torch,"), 2, "--peers", '""')
        self.fails(self.study("--services", "onnx,"), 2, "--services", '""')
        self.fails(self.study("--key", "a", "--column", "b"), 2, "--key", "--column")
        self.fails(self.study("--cpu", "mmx"), 2, "mmx")
        for option in (["--duration", "0"], ["--rounds", "0"], ["--threads", "0"], ["--price", "-1"], ["--texts", "0"],
                       ["--nope"]):
            self.fails(self.study(*option), 2, option[0])

    def test_texts(self):
        self.fails(self.study("--corpus", self.file("empty.txt", "")), 1, "empty.txt", "holds no text")
        self.fails(self.study("--corpus", self.path / "none.txt"), 1, "none.txt")
        self.fails(self.study("--corpus", self.file("a.csv", "id,name\n1,x\n"), "--column", "skill"), 2, "a.csv", "skill")
        self.fails(self.study("--corpus", self.file("a.jsonl", '{"x": 1}\n'), "--key", "skill"), 1, "a.jsonl", "skill")

    def test_model(self):
        self.fails(self.study("-m", self.path / "no-model"), 1, "no-model")

    def test_names_that_arent_utf8(self):
        self.fails(self.study("--corpus", self.file(os.fsdecode(b"\xff.txt"), "one\n")), 2, "?.txt", "UTF-8")

    def test_results_folder(self):
        self.out = self.file("a-file", "") / "results"
        self.fails(self.study(), 1, "a-file")

    def test_broken_model_marks_the_rows(self):
        shutil.copytree(MODEL, self.path / "model", ignore=shutil.ignore_patterns("model.safetensors"))
        result = self.study("-m", self.path / "model", command="bench")
        self.assertEqual(result.returncode, 1)
        self.assertIn("model.safetensors", result.stdout)


def members(group):
    """How many processes of the group live."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
            count += int(of) == group and state != "Z"
    return count


class Interruption(Case):
    def start(self, *arguments, **more):
        """A study that takes long, in a group of processes of its own."""
        command = [SENVEC, "study", "-m", MODEL, "--out", self.out, "--peers", "none", "--rounds", "500", "--duration", "100"]
        def take_signals():  # also where the tests run under nohup, whose ignored SIGHUP would be inherited
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)

        return subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL, start_new_session=True,
                                preexec_fn=take_signals, **more)

    def wait_for(self, process, true):
        until = time.monotonic() + PATIENCE
        while not true():
            self.assertIsNone(process.poll())
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)

    def test_what_is_done_is_kept_after_ctrl_c(self):
        self.is_kept(signal.SIGINT)

    def test_what_is_done_is_kept_when_the_terminal_closes(self):
        self.is_kept(signal.SIGHUP)

    def is_kept(self, number):
        screen, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 500, 0, 0))
        process = self.start("--calls", "4", "--texts", "20", stderr=terminal)
        os.close(terminal)
        shown = bytearray()

        def read():
            with contextlib.suppress(OSError):  # the end of a terminal is an error
                while data := os.read(screen, 65536):
                    shown.extend(data)

        reader = threading.Thread(target=read)
        reader.start()
        self.wait_for(process, lambda: re.search(rb"round ([2-9]|\d\d+)/500", shown))
        os.killpg(process.pid, number)  # as a terminal does it: to the workers too
        self.assertEqual(process.wait(PATIENCE), 1)
        reader.join()
        os.close(screen)
        self.assertIn(b"interrupted", shown)
        rows = self.table("benchmark_results.csv")
        self.assertTrue(all(row["State"] == "measured" for row in rows[:2]))
        self.assertEqual(members(process.pid), 0)

    def measured(self):
        """Every block and sample that study.json has, by what it is of."""
        found = {}
        study = self.loads("study.json")
        for entry in [*study["configurations"], *study["series"]]:
            name = (entry.get("name") or entry["configuration"], entry.get("kind"), entry.get("texts"), entry["batch"])
            if entry.get("runtime") != "batcher":
                found[name] = entry["latency"]["samples_ms"], [json.dumps(block) for block in entry["throughput"]["blocks"]]
        load = study["batching"] or {"runs": [], "best": []}
        found["load"] = [json.dumps(run) for run in load["runs"]], [json.dumps(run) for run in load["best"]]
        return study, found

    def test_a_study_goes_on_wherever_it_was_cut(self):
        """Ctrl-C or a crash at random moments, and the same command again: the same rows in the end, nothing measured twice.
        SENVEC_INTERRUPTIONS says how many (20 take a minute)."""
        moments = random.Random(int(os.environ.get("SENVEC_SEED", "1")))
        command = [SENVEC, "study", "-m", MODEL, "--out", self.out, "--peers", "none", "--rounds", "3", "--calls", "6",
                   "--duration", "0.3", "--texts", "20", "--quick", "--no-report", "-q"]
        before, cuts = {}, 0
        while True:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
                                       text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            if cuts < int(os.environ.get("SENVEC_INTERRUPTIONS", "3")):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(moments.uniform(0.2, 4))
                number = moments.choice((signal.SIGINT, signal.SIGKILL))
                if process.poll() is None:
                    os.killpg(process.pid, number)
                cuts += 1
            said = process.communicate(timeout=PATIENCE)[1]
            if (self.out / "study.json").exists():
                study, found = self.measured()
                for name, (samples, blocks) in before.items():
                    self.assertEqual(found[name][0][:len(samples)], samples, name)
                    self.assertEqual(found[name][1][:len(blocks)], blocks, name)
                before = found
            if process.returncode == 0:
                break
            self.assertIn(process.returncode, (1, -signal.SIGKILL, -signal.SIGINT), said)
        for row in study["configurations"]:
            if row["runtime"] != "batcher" and row["state"] != "missing":
                self.assertEqual(row["state"], "measured")
                self.assertEqual([block["round"] for block in row["throughput"]["blocks"]], [0, 1, 2])
                self.assertEqual(row["latency"]["block_calls"], [2, 2, 2])
                self.assertGreater(row["validation_wide"]["texts"], 0)
                self.assertGreater(row["peak_rss_bytes"], 0)
        self.assertEqual((len(found["load"][0]), len(found["load"][1])), (12, 3))
        self.assertEqual([path.name for path in self.out.iterdir() if path.name.startswith(".") or "tmp" in path.name], [])

    def test_an_interrupted_study_isnt_overwritten(self):
        process = self.start("-q", "--texts", "20", stderr=subprocess.DEVNULL)
        self.wait_for(process, lambda: (self.out / "study.json").exists())
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE), 1)
        other = shutil.copytree(MODEL, self.path / "other")
        (other / "config.json").write_text((other / "config.json").read_text() + "\n")
        for options in (["-m", other], ["--rounds", "7"], ["--seed", "9"], ["--peers", "torch"], ["--quick"]):
            model = [] if "-m" in options else ["-m", MODEL]
            self.fails(run("study", *model, "--out", self.out, "-q", *options), 2)
        self.assertEqual(self.loads("study.json")["options"]["rounds"], 500)

    def test_a_killed_study_leaves_no_workers(self):
        process = self.start("-q", stderr=subprocess.DEVNULL)
        self.wait_for(process, lambda: members(process.pid) > 1)
        process.kill()
        process.wait()
        until = time.monotonic() + PATIENCE
        while members(process.pid) and time.monotonic() < until:
            time.sleep(0.02)
        self.assertEqual(members(process.pid), 0)


if __name__ == "__main__":
    SENVEC, MODEL = sys.argv[1], Path(sys.argv[2])
    run_part(sys.argv[3])
