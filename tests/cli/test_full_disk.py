#!/usr/bin/env python3
"""test_full_disk SENVEC MODEL STUB_SERVER FAILING_DISK: commands whose disk is full. Each run either makes what it makes on a
good disk, where it can do without the file, or says in one line what failed, exits with 1, leaves nothing, and leaves the file
that it would have replaced as it was.

By default some of the system calls that write fail, each in a run of its own; with SENVEC_FULL_DISK=1 each of them does,
which takes ten minutes.
"""
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from command_case import MODEL, PATIENCE, SENVEC, Case, main, run

FAILING = os.path.abspath(sys.argv.pop(4))
STUB = os.path.abspath(sys.argv.pop(3))
ALL = "SENVEC_FULL_DISK" in os.environ
SANITIZED = any(name in Path(SENVEC).read_bytes() for name in (b"__asan_init", b"__tsan_init"))
RUNS = 1 if SANITIZED else 4  # of a command by default
OLD = b"what stood there before\n"


class FullDisk(Case):
    def setUp(self):
        super().setUp()
        if os.access("/dev/shm", os.W_OK):  # every file is flushed to the disk, which takes long on a slow one
            folder = tempfile.TemporaryDirectory(dir="/dev/shm")
            self.addCleanup(folder.cleanup)
            self.path = Path(folder.name)
        self.work = self.path / "work"
        self.log = self.path / "log"
        self.texts = self.file("texts", b"".join(b"text %d\n" % i for i in range(1500)))

    def prepare(self, old, warm):
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        self.cache = self.path / "warm" if warm else self.work / "cache"
        if old:
            (self.work / old).write_bytes(OLD)
        if not self.cache.exists() and warm:
            self.succeeds(run("info", "-m", MODEL, environment=self.environment()))

    def environment(self):
        return {"SENVEC_CACHE": str(self.cache), "TMPDIR": str(self.work)}

    def run_on(self, which, error, arguments, output):
        """The run of which call `which` fails. `output`: its standard output is this file."""
        command = [FAILING, self.log, which, error, SENVEC, *arguments]
        with open(output or os.devnull, "wb") as stdout:
            result = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, timeout=PATIENCE, cwd=self.work,
                                    stdout=stdout if output else subprocess.PIPE, stderr=subprocess.PIPE,
                                    env={**os.environ, **self.environment()})
        if result.returncode == 77:
            self.skipTest(result.stderr.decode())
        return result

    def calls(self):
        return self.log.read_text().splitlines()

    def made(self):
        """What there is but caches: {path: content}."""
        files = (path for path in self.work.rglob("*") if path.is_file())
        names = {path.relative_to(self.work): path for path in files}
        return {str(name): path.read_bytes() for name, path in names.items() if name.parts[0] != "cache"}

    def leftovers(self):
        """Temporary files, those in the caches included."""
        return [str(path) for folder in (self.work, self.cache) for path in folder.rglob("*")
                if ".tmp." in path.name or path.name.startswith("senvec-")]

    def check(self, *arguments, old=None, warm=True, output=None, repeats=True, whole=False, runs=RUNS):
        """old: the file that the command replaces. warm: the caches know the model. output: standard output goes to this file,
        which may have a part of it. repeats: a run makes the same bytes again. whole: of several files some may be made,
        and of what a study measures a part may fail, which its table says."""
        output = output and self.path / output
        self.prepare(old, warm)
        first = self.succeeds(self.run_on("0", 0, arguments, output))
        right, end = self.made(), len(self.calls())
        self.assertGreater(end, 0)
        step = 1 if ALL else max(1, end // runs)
        numbers = sorted(set(range(1, end + 1, step)) | set(range(max(1, end - 1), end + 1)))
        for number, later in [(number, "") for number in numbers] + [(number, "+") for number in numbers[::3]]:
            error = errno.EIO if number % 5 == 4 else errno.EDQUOT if number % 5 == 3 else errno.ENOSPC
            self.prepare(old, warm)
            result = self.run_on(f"{number}{later}", error, arguments, output)
            call = next((line for line in self.calls() if line.endswith(" FAILS")), "none")
            with self.subTest(call=f"{number}{later}", what=call):
                message = result.stderr.decode()
                if whole and not message and b" failed: " in result.stdout:
                    message = "senvec: " + result.stdout.decode().split(" failed: ")[1].split("\n")[0] + "\n"
                self.assertEqual(self.leftovers(), [])
                if result.returncode == 0:
                    if repeats:
                        self.assertEqual((result.stdout, self.made()), (first.stdout, right))
                    continue
                self.assertEqual(result.returncode, 1, message)
                self.assertEqual(message.count("\n"), 1, message)
                self.assertTrue(message.startswith("senvec"), message)
                if later:  # where one write of many fails, its error number may be lost
                    self.assertIn(os.strerror(error), message)
                if whole:
                    self.assertLessEqual(set(self.made()), set(right))
                else:
                    self.assertEqual(self.made(), {old: OLD} if old else {})

    def embed_to(self, name, *options):
        self.check("embed", "-q", "-m", MODEL, "-o", name, *options, self.texts, old=name)

    def test_embed(self):
        self.embed_to("out.npy")
        self.embed_to("out.jsonl")
        self.embed_to("out.csv")
        self.embed_to("out.f32")
        self.embed_to("out.raw", "--output-type", "int8")

    def test_embed_without_caches(self):
        self.check("embed", "-q", "-m", MODEL, "-p", "int8", "-o", "out.npy", self.texts, old="out.npy", warm=False)

    def test_embed_to_standard_output(self):
        for form in ("npy", "jsonl", "f32"):
            self.check("embed", "-q", "-m", MODEL, "-f", form, self.texts, output="stdout")
        self.check("embed", "-q", "-m", MODEL, "-f", "npy", self.texts)  # collected in a temporary file

    def test_a_write_that_takes_a_part(self):
        """A limit of the file's size, at which the kernel writes what fits and then refuses."""
        for form in ("npy", "jsonl", "f32"):
            self.prepare("out", True)
            self.succeeds(run("embed", "-q", "-m", MODEL, "-f", form, "-o", "size", self.texts, cwd=self.work))
            size = (self.work / "size").stat().st_size
            (self.work / "size").unlink()

            def limit():
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

            for most in (1, 100, 4095, 4097, size // 2, size - 1):
                result = run("embed", "-q", "-m", MODEL, "-f", form, "-o", "out", self.texts, cwd=self.work, preexec_fn=limit)
                self.fails(result, 1, os.strerror(errno.EFBIG), "nothing was written")
                self.assertEqual(self.made(), {"out": OLD})

    def test_tokenize(self):
        self.check("tokenize", "-m", MODEL, "-o", "out", self.texts, old="out")
        self.check("tokenize", "-m", MODEL, self.texts, output="stdout")

    def test_short_answers(self):
        self.check("info", "-m", MODEL, "--json", output="stdout")
        self.check("models", "--json", output="stdout")
        self.check("models", output="stdout")
        self.check("--help", output="stdout")
        self.check("help", "--man", output="stdout")

    def test_pack(self):
        self.check("pack", "-q", "-m", MODEL, "out.pack", old="out.pack")

    def test_quantize(self):
        self.check("quantize", "-q", "-m", MODEL, "out")

    def test_export(self):
        self.check("export", "-q", "-m", MODEL, "out")

    def test_load_and_compare(self):
        server = subprocess.Popen([STUB], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.wait, PATIENCE)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.stdin.close)
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        self.check("load", "-q", url, "--clients", "2", "-d", "0.1", "--warmup", "0", "--json", "out.json", "--csv", "out.csv",
                   "--requests", "out", old="out", repeats=False, whole=True)
        self.check("compare", "-q", url, url, "--json", "out.json", old="out.json", repeats=False)

    @unittest.skipIf(SANITIZED and not ALL, "takes a minute there")
    def test_study(self):
        self.check("study", "bench", "-q", "--quick", "-m", MODEL, "--out", "out", "--peers", "none", "--no-report", "--rounds",
                   "1", "--calls", "2", "--duration", "0.02", "--texts", "20", repeats=False, whole=True, runs=1)


if __name__ == "__main__":
    main()
