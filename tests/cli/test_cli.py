#!/usr/bin/env python3
"""test_cli SENVEC MODEL: the command line, case by case, on the tiny model: command, what comes out, exit code.

Every failure must be one line on stderr that begins with "senvec" and leave nothing half written.
"""
import array
import gzip
import json
import re
import shutil
import signal
import subprocess
import unittest
from pathlib import Path

from command_case import DIMENSIONS, MODEL, SENVEC, Case, main, rows_of, run

FORMER = ("bench", "sweep", "validate", "batching", "cost", "report")  # stages that were commands of their own
STAGES = (*FORMER, "services")
CPU_FLAGS = Path("/proc/cpuinfo").read_text().split()


class Usage(Case):
    def test_help(self):
        for arguments in (["--help"], ["help"], ["-h"], ["help", "embed"], ["embed", "--help"], ["tokenize", "-h"],
                          ["info", "--help"], ["doctor", "--help"], ["pull", "--help"]):
            result = self.succeeds(run(*arguments))
            self.assertTrue(result.stdout.startswith(b"Usage: senvec "), arguments)
            self.assertEqual(result.stderr, b"")

    def test_help_fits_a_terminal(self):
        listed = re.findall(r"^  (\w+)  +\w", self.succeeds(run("help")).stdout.decode(), re.M)
        self.assertEqual(listed[0], "embed")
        self.assertGreater(len(listed), 10)
        for words in [[], *([name] for name in listed), *(["study", stage] for stage in STAGES)]:
            text = self.succeeds(run("help", *words)).stdout.decode()
            self.assertTrue(text.startswith(f"Usage: senvec {' '.join(words)}"), text[:60])
            for line in text.splitlines():
                self.assertLessEqual(len(line), 80, line)

    def test_man_page_and_completion(self):
        page = self.succeeds(run("help", "--man")).stdout.decode()
        for word in (".TH SENVEC 1", ".SS embed", ".SS study sweep", ".SS study services",
                     "\\fB\\-\\-output\\-type\\fR", "EXIT STATUS"):
            self.assertIn(word, page)
        script = self.file("completion", self.succeeds(run("help", "--completion")).stdout)
        if not (bash := shutil.which("bash")):
            self.skipTest("no bash")
        ask = ('. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _senvec; echo "${COMPREPLY[@]}"')
        for words, wanted in ((["senvec", "em"], ["embed"]), (["senvec", "embed", "--sh"], ["--shard"]),
                              (["senvec", "study", "sw"], ["sweep"]), (["senvec", "study", "bench", "--an"], ["--anew"]),
                              (["senvec", "study", "services", "--service"], ["--service", "--services"])):
            found = subprocess.run([bash, "-c", ask, "bash", script, *words], capture_output=True, check=True).stdout
            self.assertEqual(found.decode().split(), wanted)

    def test_former_spellings(self):
        for stage in FORMER:
            result = self.succeeds(run(stage, "--help"))
            self.assertTrue(result.stdout.startswith(b"Usage: senvec study " + stage.encode()))
            self.assertEqual(result.stderr.count(b"\n"), 1)
            self.assertIn(b"is called 'senvec study " + stage.encode(), result.stderr)
            self.assertEqual(self.succeeds(run("study", stage, "--help")).stderr, b"")
        native = self.path / "native"
        result = self.succeeds(run("quantize", "-m", MODEL, "--native", native))
        self.assertIn(b"'senvec pack FILE'", result.stderr)
        self.succeeds(run("pack", "-q", "-m", MODEL, self.path / "packed"))
        self.assertEqual(native.read_bytes(), (self.path / "packed").read_bytes())

    def test_version(self):
        for word in ("--version", "version"):
            self.assertRegex(self.succeeds(run(word)).stdout, rb"^senvec \d+\.\d+\.\d+\n$")

    def test_mistakes(self):
        cases = [
            ([], ["command is missing"]),
            (["embd"], ["unknown command 'embd'", "did you mean 'embed'"]),
            (["zzzzzz"], ["unknown command 'zzzzzz'", "--help"]),
            (["--versoin"], ["unknown option"]),
            (["help", "embd"], ["did you mean 'embed'"]),
            (["embed", "--fromat", "npy"], ["unknown option '--fromat'", "did you mean '--format'"]),
            (["embed", "--xyzzy=1"], ["unknown option '--xyzzy'"]),
            (["embed", "-Z"], ["unknown option '-Z'"]),
            (["embed", "--format"], ["'--format' needs a value"]),
            (["embed", "-t"], ["'-t' needs a value"]),
            (["embed", "--quiet=yes"], ["takes no value"]),
            (["embed", "--format", "xml"], ["npy, jsonl, f32, csv or raw", "'xml'"]),
            (["embed", "-p", "fp64"], ["auto, fp32, bf16 or int8"]),
            (["embed", "--cpu", "z80", "-m", MODEL], ["z80"]),
            (["embed", "--key", "a", "--column", "b"], ["--key", "--column"]),
            (["info", "extra"], ["'extra'", "too many"]),
            (["study", "swep"], ["no stage 'swep'", "did you mean 'sweep'"]),
            (["pack", "-m", MODEL], ["missing", "FILE"]),
        ]
        for number in ("0", "-1", "+1", " 1", "1 ", "1x", "0x1", "", "257", "1.5", "99999999999999999999"):
            cases.append((["embed", "-t", number], ["from 1 to 256", f"'{number}'"]))
        for arguments, words in cases:
            with self.subTest(arguments):
                self.fails(run(*arguments), 2, *words)

    def test_environment_mask(self):
        self.fails(run("info", "-m", MODEL, environment={"SENVEC_CPU": "z80"}), 2, "SENVEC_CPU", "z80")

    def test_option_forms_agree(self):
        text = self.file("t", b"one\ntwo\n")
        wanted = self.embed("-q", "--format", "csv", text).stdout
        for arguments in (["-qfcsv", text], ["--format=csv", "-q", "--", text], [text, "-q", "-f", "csv"],
                          ["-f", "npy", "-f", "csv", "-q", text]):
            self.assertEqual(self.embed(*arguments).stdout, wanted, arguments)


class Models(Case):
    def test_no_such_model(self):
        self.fails(run("embed", "-m", "no-such-model"), 1, "no-such-model", "senvec pull")
        self.fails(run("embed", "-m", self.path / "nothing"), 1, "nothing")
        for name in ("all-minilm", "all-MinLM-L6-v2", "sentence-transformers/all-minilm-l6-v3"):
            self.fails(run("embed", "-m", name, environment={"SENVEC_CACHE": str(self.path), "HF_HOME": str(self.path)}), 1,
                       f"model {name}", "did you mean all-MiniLM-L6-v2?", "senvec pull all-MiniLM-L6-v2")

    def test_broken_files(self):
        weights = (MODEL / "model.safetensors").read_bytes()
        cases = [
            ("model.safetensors", weights[:-100]),
            ("model.safetensors", weights[:7]),
            ("model.safetensors", b""),
            ("model.safetensors", b"\xff" * 8 + weights[8:]),
            ("model.safetensors", None),
            ("config.json", None),
            ("config.json", b"{"),
            ("config.json", b'{"model_type": "gpt2"}'),
            ("tokenizer.json", b"[]"),
        ]
        for name, data in cases:
            with self.subTest(name, data=data and data[:16]):
                model = self.copy_model()
                (model / name).unlink()
                if data is not None:
                    (model / name).write_bytes(data)
                self.fails(run("embed", "-m", model, data=b"a\n"), 1, "")
                self.fails(run("info", "-m", model), 1, "")

    def test_files_of_other_kinds(self):
        """-m FILE and each file of a folder: what it is, by name, and what to do."""
        lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 90868376\n"
        kinds = {"Git LFS": lfs, "GGUF": b"GGUF\3\0\0\0" + bytes(40), "ONNX": b"\x08\x0a\x12\x07pytorch\x1a\x052.1.0",
                 "pickled": b"PK\3\4" + bytes(40), "HTML": b"<!doctype html><html></html>", "gzip": gzip.compress(b"{}")}
        for word, data in kinds.items():
            for arguments in (["-p", "fp32"], []):
                self.fails(run("embed", "-m", self.file("one", data), *arguments, data=b"a\n"), 1, "one: is ", word)
            for name in ("model.safetensors", "config.json", "modules.json", "tokenizer.json", "tokenizer_config.json"):
                with self.subTest(word, name=name):
                    model = self.copy_model()
                    (model / name).unlink()
                    (model / name).write_bytes(data)
                    self.fails(run("embed", "-m", model, "-p", "fp32", data=b"a\n"), 1, f"{name}: ", word)
        model = self.copy_model()
        (model / "tokenizer.json").unlink()
        (model / "vocab.txt").unlink()
        (model / "vocab.txt").write_bytes(lfs)
        self.fails(run("embed", "-m", model, data=b"a\n"), 1, "vocab.txt: is ", "Git LFS")
        for arguments in (["-p", "fp32"], []):
            self.fails(run("embed", "-m", MODEL / "model.safetensors", *arguments, data=b"a\n"), 1, "senvec pack",
                       "folder or name")

    def test_info(self):
        text = self.succeeds(run("info", "-m", MODEL)).stdout.decode()
        for word in ("dimensions     32", "pooling        mean", "parameters", "ISA tier", "threads", "model.safetensors"):
            self.assertIn(word, text)
        facts = json.loads(self.succeeds(run("info", "-m", MODEL, "--json", "-t", "3", "--cpu", "ref")).stdout)
        self.assertEqual((facts["dimensions"], facts["threads"], facts["tier"]), (DIMENSIONS, 3, "ref"))
        self.assertNotIn("wide_layers", json.loads(self.succeeds(run("info", "-m", MODEL, "--json", "-p", "fp32")).stdout))

    def test_info_of_int8(self):
        model = self.path / "model"
        shutil.copytree(MODEL, model)
        text = self.succeeds(run("info", "-m", model, "-p", "int8")).stdout.decode()
        self.assertRegex(text, r"cosine +mean (0\.9999\d|1\.00000), least (0\.999\d|1\.0000) with fp32")
        self.assertRegex(text, "wide layers +none: int8 holds them all\n")
        # Queries that are 50 times as large, so that a little error makes another token the one that is attended to.
        weights = model / "model.safetensors"
        data = bytearray(weights.read_bytes())
        start = 8 + int.from_bytes(data[:8], "little")
        for name, tensor in json.loads(data[8:start]).items():
            if name.endswith("query.weight"):
                begin, end = (start + offset for offset in tensor["data_offsets"])
                data[begin:end] = array.array("f", (50 * x for x in array.array("f", data[begin:end]))).tobytes()
        weights.write_bytes(data)
        text = self.succeeds(run("info", "-m", model, "-p", "int8")).stdout.decode()
        self.assertRegex(text, r"wide layers +0\.qkv, 0\.attention_out: in (bf16|fp32), 25 % of the work\n")
        facts = json.loads(self.succeeds(run("info", "-m", model, "-p", "int8", "--json")).stdout)
        self.assertEqual((facts["wide_layers"], facts["wide_macs"]), ("0.qkv, 0.attention_out", 4 * DIMENSIONS ** 2))
        self.assertIn(facts["wide_precision"], ("bf16", "fp32"))
        self.assertTrue(0.998 <= facts["cosine_least"] < facts["cosine_mean"] < 1)


class Embed(Case):
    def vectors(self, model, *arguments, data=b"garden\n"):
        result = self.succeeds(run("embed", "-q", "-m", model, "-p", "fp32", "-fcsv", *arguments, data=data))
        return [[float(x) for x in line.split(",")] for line in result.stdout.decode().split()]

    def test_prompts(self):
        model = self.path / "model"
        shutil.copytree(MODEL, model)
        settings = {"prompts": {"query": "the river: ", "passage": "a stone, "}, "default_prompt_name": "passage"}
        (model / "config_sentence_transformers.json").write_text(json.dumps(settings))
        plain = self.vectors(MODEL)
        query, passage = self.vectors(MODEL, data=b"the river: garden\n"), self.vectors(MODEL, data=b"a stone, garden\n")
        self.assertEqual(self.vectors(model), passage)
        self.assertEqual(self.vectors(model, "--prompt", "query"), query)
        self.assertEqual(self.vectors(model, "--prompt", "document"), plain)
        self.assertEqual(self.vectors(model, "--prompt-text", ""), plain)
        self.assertEqual(self.vectors(MODEL, "--prompt-text", "the river: "), query)
        out = self.path / "out.npy"
        self.fails(run("embed", "-m", model, "--prompt", "x", "-o", out), 2, '"x"', '"query", "passage"')
        self.assertFalse(out.exists())
        self.fails(run("embed", "-m", MODEL, "--prompt", "x"), 2, "has no prompts")
        self.fails(run("embed", "-m", model, "--prompt", "query", "--prompt-text", "a"), 2, "--prompt-text")
        lines = [line for line in run("info", "-m", model).stdout.decode().splitlines() if "prompt" in line]
        self.assertEqual(len(lines), 2)
        self.assertIn('passage: "a stone, ", before each text', lines[1])

    def test_truncation_side(self):
        """The vector of a text that is too long is that of the part that is kept. Every word is one token; 46 are kept."""
        words = "light water stone river garden window music bread train north cloud paper winter summer".split() * 6
        text, right, left = (" ".join(part).encode() + b"\n" for part in (words[:73], words[:46], words[27:73]))
        for side, kept in ((), right), (("auto",), right), (("right",), right), (("left",), left):
            options = ["--truncation-side", *side] if side else []
            self.assertEqual(self.vectors(MODEL, *options, data=text), self.vectors(MODEL, data=kept), side)
            ids = self.succeeds(run("tokenize", "-m", MODEL, *options, data=text)).stdout
            self.assertEqual(ids, self.succeeds(run("tokenize", "-m", MODEL, data=kept)).stdout)
        self.assertNotEqual(self.vectors(MODEL, data=right), self.vectors(MODEL, data=left))
        self.fails(run("embed", "-m", MODEL, "--truncation-side", "top"), 2, "auto, right or left")

    def test_dimensions(self):
        whole = self.vectors(MODEL)[0]
        self.assertEqual(self.vectors(MODEL, "--dimensions", "5"), [whole[:5]])
        cut = self.vectors(MODEL, "--dimensions", "5", "--normalize", "on")[0]
        self.assertAlmostEqual(sum(x * x for x in cut), 1, 5)
        self.assertAlmostEqual(cut[0] / cut[1], whole[0] / whole[1], 4)
        loose = self.vectors(MODEL, "--normalize", "off")[0]
        self.assertGreater(abs(sum(x * x for x in loose) - 1), 0.01)
        self.fails(self.embed("--dimensions", "33", data=b"a\n"), 2, "33", "have 32")
        model = self.path / "model"
        shutil.copytree(MODEL, model)
        (model / "config_sentence_transformers.json").write_text('{"truncate_dim": 5}')
        self.assertEqual(self.vectors(model), [whole[:5]])
        self.assertEqual(self.vectors(model, "--dimensions", "32"), [whole])

    def test_formats_agree(self):
        text = self.file("t", b"one\ntwo words\n\nlast without an end")
        npy = self.succeeds(self.embed("-q", text, "-o", self.path / "a.npy"))
        self.assertEqual((npy.stdout, npy.stderr), (b"", b""))
        rows, columns, values = rows_of((self.path / "a.npy").read_bytes())
        self.assertEqual((rows, columns), (4, DIMENSIONS))
        self.assertEqual(array.array("f", self.embed("-q", "-ff32", text).stdout), values)
        lines = [json.loads(line) for line in self.embed("-q", text).stdout.splitlines()]
        self.assertEqual([line["index"] for line in lines], [0, 1, 2, 3])
        self.assertEqual(array.array("f", [x for line in lines for x in line["embedding"]]), values)
        csv = self.embed("-q", "-fcsv", text).stdout.decode().split()
        self.assertEqual(array.array("f", [float(x) for line in csv for x in line.split(",")]), values)
        self.assertEqual(self.embed("-q", "-fnpy", text).stdout, (self.path / "a.npy").read_bytes())  # a pipe
        with open(self.path / "b.npy", "wb") as file:
            subprocess.run([SENVEC, "embed", "-q", "-m", MODEL, "-fnpy", text], stdout=file, check=True)
        self.assertEqual((self.path / "b.npy").read_bytes(), (self.path / "a.npy").read_bytes())

    def test_names_choose_formats(self):
        text = self.file("t", b"one\n")
        (self.path / "no.suffix").mkdir()
        for name, start in (("a.npy", b"\x93NUMPY"), ("b.NPY", b"\x93NUMPY"), ("a.jsonl", b'{"index":0'),
                            ("a.ndjson", b'{"index":0'), ("no.suffix/a", b'{"index":0')):
            self.succeeds(self.embed("-q", text, "-o", self.path / name))
            self.assertTrue((self.path / name).read_bytes().startswith(start), name)
        for name in ("a.parquet", "a.npz", "a.json", "a.npy.gz", "a.txt"):
            self.fails(self.embed("-q", text, "-o", self.path / name), 2, name, "-f", ".npy")
            self.assertFalse((self.path / name).exists())
            self.succeeds(self.embed("-q", text, "-f", "csv", "-o", self.path / name))

    def test_records(self):
        wanted = self.embed("-q", data=b"one\ntwo\n").stdout
        jsonl = self.file("a.jsonl", b'{"t":"one"}\n{"x":1,"t":"two"}\n')
        csv = self.file("a.csv", b'id,t\n1,one\n2,"two"\n')
        self.assertEqual(self.embed("-q", "--key", "t", jsonl).stdout, wanted)
        self.assertEqual(self.embed("-q", "--key", "t", data=jsonl.read_bytes()).stdout, wanted)
        self.assertEqual(self.embed("-q", "--column", "t", csv).stdout, wanted)
        self.assertEqual(self.embed("-q", "--column", "t", "-", data=csv.read_bytes()).stdout, wanted)
        self.fails(self.embed(csv), 2, "column")
        self.fails(self.embed("--column", "none", csv), 2, "none")
        self.fails(self.embed("-q", jsonl), 2, "key")
        broken = self.file("b.jsonl", b'{"t":"one"}\n{"t":\n')
        result = self.embed("-q", "--key", "t", broken)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stdout.count(b"\n"), 1)  # what came before
        self.assertIn(b"b.jsonl: line 2", result.stderr)

    def test_summary_counts(self):
        result = self.succeeds(self.embed(data=b"one\n\xff\xfe bad\n" + b"word " * 500 + b"\n"))
        self.assertRegex(result.stderr.decode(), r"^senvec embed: 3 texts, .* texts/s .*; 1 truncated; 1 with invalid UTF-8\n$")

    def test_empty_input(self):
        self.assertEqual(self.succeeds(self.embed("-q")).stdout, b"")
        empty = self.succeeds(self.embed(self.file("empty.txt", b"")))
        self.assertEqual((empty.stdout, empty.stderr), (b"", b"senvec embed: no text in the input, so no vector\n"))
        self.assertEqual(rows_of(self.succeeds(self.embed("-q", "-fnpy")).stdout)[:2], (0, DIMENSIONS))

    def test_many_and_long_lines(self):
        lines = [b"text %d" % i for i in range(5000)]
        lines[100] = b"x" * 10_000_000
        lines[101] = b"y " * 5_000_000
        result = self.succeeds(self.embed("-ff32", data=b"\n".join(lines)))
        values = array.array("f", result.stdout)
        self.assertEqual(len(values), 5000 * DIMENSIONS)
        alone = array.array("f", self.embed("-ff32", data=lines[4321]).stdout)
        self.assertEqual(values[4321 * DIMENSIONS:4322 * DIMENSIONS], alone)

    def test_a_slow_pipe_is_answered_at_once(self):
        process = subprocess.Popen([SENVEC, "embed", "-q", "-m", MODEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for index in range(3):
            process.stdin.write(b"a\n")
            process.stdin.flush()
            self.assertEqual(json.loads(process.stdout.readline())["index"], index)
        process.stdin.close()
        self.assertEqual(process.wait(), 0)
        process.stdout.close()

    def test_missing_file_before_work(self):
        text = self.file("t", b"one\n")
        self.fails(self.embed(text, self.path / "missing", "-o", self.path / "out.npy"), 1, "missing", "No such file")
        self.assertFalse((self.path / "out.npy").exists())


class Outputs(Case):
    def test_full_disk(self):
        text = self.file("t", b"one\n" * 3000)
        for form in ("npy", "jsonl", "f32", "csv"):
            self.fails(self.embed("-q", "-f", form, text, "-o", "/dev/full"), 1, "/dev/full", "No space left")
            with open("/dev/full", "wb") as full:
                result = subprocess.run([SENVEC, "embed", "-q", "-m", MODEL, "-f", form, text], stdout=full,
                                        stderr=subprocess.PIPE)
            self.assertEqual(result.returncode, 1)
            self.assertEqual(result.stderr, b"senvec embed: standard output: writing failed: No space left on device\n")
        for command in (["tokenize", "-m", MODEL, text], ["info", "-m", MODEL], ["--help"]):
            with open("/dev/full", "wb") as full:
                result = subprocess.run([SENVEC, *map(str, command)], stdout=full, stderr=subprocess.PIPE)
            self.assertEqual((result.returncode, result.stderr.count(b"\n")), (1, 1), command)
        self.assertTrue(Path("/dev/full").is_char_device())

    def test_size_limit_leaves_nothing(self):
        text = self.file("t", b"one\n" * 3000)
        target = self.file("v.npy", b"before")
        result = subprocess.run(["sh", "-c", 'trap "" XFSZ; ulimit -f 64; exec "$@"', "sh", SENVEC, "embed", "-q", "-m",
                                 MODEL, text, "-o", target], capture_output=True)
        self.fails(result, 1, "v.npy", "nothing was written")
        self.assertEqual(target.read_bytes(), b"before")
        self.assertEqual(sorted(p.name for p in self.path.iterdir()), ["t", "v.npy"])

    def test_closed_pipe(self):
        text = self.file("t", b"one\n" * 20000)
        process = subprocess.Popen([SENVEC, "embed", "-q", "-m", MODEL, text], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.readline()
        process.stdout.close()
        message = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(), 1)
        self.assertEqual(message, b"senvec embed: standard output: writing failed: Broken pipe\n")

    def test_unwritable(self):
        text = self.file("t", b"one\n")
        self.fails(self.embed(text, "-o", self.path / "no" / "folder.npy"), 1, "folder.npy", "cannot be written")
        self.fails(self.embed(text, "-o", self.path), 1, "is a folder")

    def test_a_link_stays(self):
        text = self.file("t", b"one\n")
        (self.path / "link.npy").symlink_to(self.file("real.npy", b""))
        self.succeeds(self.embed("-q", text, "-o", self.path / "link.npy"))
        self.assertTrue((self.path / "link.npy").is_symlink())
        self.assertEqual(rows_of((self.path / "real.npy").read_bytes())[0], 1)

    def test_interrupt_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen([SENVEC, "embed", "-m", MODEL, "-o", self.path / "v.npy"], stdin=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL)
            process.stdin.write(b"x" * (1 << 20))  # more than a pipe holds: when it is written, the output was opened
            process.stdin.flush()
            self.assertEqual(len(list(self.path.iterdir())), 1)
            process.send_signal(number)
            self.assertEqual(process.wait(), 128 + number)
            process.stdin.close()
            self.assertEqual(list(self.path.iterdir()), [])


class Tokenize(Case):
    def test_without_weights(self):
        model = self.path / "model"
        shutil.copytree(MODEL, model)
        (model / "model.safetensors").unlink()
        self.assertEqual(len(self.succeeds(run("tokenize", "-m", model, data=b"garden\n")).stdout.split()), 3)

    def test_ids(self):
        golden = json.loads((MODEL / "golden.json").read_text())
        result = self.succeeds(run("tokenize", "-m", MODEL, data=b"\nhello\n"))
        lines = result.stdout.decode().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(len(lines[0].split()), 2)
        self.assertEqual((lines[0].split()[0], lines[0].split()[-1]), (lines[1].split()[0], lines[1].split()[-1]))
        self.assertTrue(golden)
        self.succeeds(run("tokenize", "-m", MODEL, "-o", self.path / "ids", data=b"\nhello\n"))
        self.assertEqual((self.path / "ids").read_bytes(), result.stdout)


class Doctor(Case):
    def test_json(self):
        report = json.loads(self.succeeds(run("doctor", "-q", "-m", MODEL, "--json", "-t", "1")).stdout)
        self.assertEqual(report["threads"], 1)
        self.assertEqual(report["tiers"][0]["name"], "ref")
        self.assertIn(report["achieved"]["tier"], [tier["name"] for tier in report["tiers"]])
        self.assertGreater(report["achieved"]["texts_per_second"], 0)
        self.assertEqual([row["tokens"] for row in report["most_texts_per_second"]], [11, 128, 256])

    @unittest.skipUnless("avx_vnni" in CPU_FLAGS, "this CPU lacks AVX-VNNI")
    def test_avxvnni(self):
        report = json.loads(self.succeeds(run("doctor", "-q", "-m", MODEL, "--json", "-t", "1", "--cpu", "avxvnni")).stdout)
        self.assertEqual([tier["name"] for tier in report["tiers"] if tier["usable"]], ["ref", "avx2", "avxvnni"])
        self.assertEqual(report["achieved"]["tier"], "avxvnni")
        self.assertEqual(report["achieved"]["precision"], "int8")


if __name__ == "__main__":
    main()
