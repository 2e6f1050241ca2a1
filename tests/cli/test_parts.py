#!/usr/bin/env python3
"""test_parts SENVEC MODEL: `senvec embed --rows`: a folder of parts, and runs of it that were ended, on the tiny model."""
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import time
import unittest

import command_case
from command_case import PATIENCE, Case, main, rows_of, run

MANIFEST = "manifest.jsonl"


class Parts(Case):
    def setUp(self):
        super().setUp()
        lines = [{"id": i, "t": f"text {i} " + "word " * (i * 7 % 40)} for i in range(1500)]
        self.text = self.file("a.jsonl", b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        self.options = ["-q", "--key", "t", self.text]

    def parts(self, folder):
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != MANIFEST}

    def manifest(self, folder):
        return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]

    def test_parts_make_the_whole(self):
        for rows, options, ending in ((100, [], ".npy"), (512, ["--output-type", "int8", "--dimensions", "9"], ".npy"),
                                      (700, ["-fjsonl", "--keep", "id"], ".jsonl"), (333, ["-fcsv", "--keep", "id,t"], ".csv"),
                                      (1500, ["-fraw", "--output-type", "binary"], ".raw"), (9999, ["-ff32"], ".f32"),
                                      (90, ["--shard", "2/4"], ".npy")):
            out = self.path / f"out{rows}"
            self.succeeds(self.embed(*self.options, *options, "--rows", rows, "-o", out))
            whole = self.succeeds(self.embed(*self.options, *(options if ending != ".npy" else [*options, "-fnpy"]))).stdout
            found = self.parts(out)
            count = 375 if "--shard" in options else 1500
            self.assertEqual(list(found), [f"part-{i:06d}{ending}" for i in range(-(-count // rows))])
            skip = 128 if ending == ".npy" else 0
            self.assertEqual(b"".join(part[skip:] for part in found.values()), whole[skip:], options)
            lines = self.manifest(out)[1:]
            self.assertEqual([(line["shard"], line["file"], line["rows"], line["sha256"]) for line in lines],
                             [(i, name, min(rows, count - i * rows), hashlib.sha256(part).hexdigest())
                              for i, (name, part) in enumerate(found.items())])
            if rows == 100:
                self.assertEqual(rows_of(found["part-000003.npy"])[0], 100)

    def test_no_text(self):
        out = self.path / "out"
        self.succeeds(self.embed("-q", self.file("empty", b""), "--rows", 5, "-o", out))
        self.assertEqual((self.parts(out), len(self.manifest(out))), ({}, 1))

    def test_each_state_that_a_crash_leaves(self):
        """The manifest is cut anywhere; the next part is missing, is there without its line, or a temporary."""
        whole, out = self.path / "whole", self.path / "out"
        line = [*self.options, "--rows", 400, "--resume", "-o"]
        self.succeeds(self.embed(*line, whole))
        expected, lines = self.parts(whole), (whole / MANIFEST).read_bytes().splitlines(keepends=True)
        self.assertEqual(len(lines), 5)
        for kept in range(6):
            for left in ("nothing", "part", "temporary"):
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
                for name in list(expected)[:max(kept - 1, 0)]:
                    (out / name).write_bytes(expected[name])
                torn = lines[kept][:20] if kept < 5 and left != "nothing" else b""
                (out / MANIFEST).write_bytes(b"".join(lines[:kept]) + torn)
                if left == "part" and 0 < kept < 5:
                    (out / list(expected)[kept - 1]).write_bytes(b"half")
                if left == "temporary" and 0 < kept < 5:
                    (out / f"{list(expected)[kept - 1]}.tmpABCDEF").write_bytes(b"half")
                self.succeeds(self.embed(*line, out))
                made = {name: data for name, data in self.parts(out).items() if ".tmp" not in name}
                self.assertEqual(made, expected, (kept, left))
                self.assertEqual((out / MANIFEST).read_bytes(), b"".join(lines), (kept, left))

    def test_killed(self):
        whole, out = self.path / "whole", self.path / "out"
        line = [*self.options, "--rows", 10, "-o"]
        self.succeeds(self.embed(*line, whole))
        for count, how in ((3, signal.SIGKILL), (40, signal.SIGTERM), (90, signal.SIGKILL)):
            process = subprocess.Popen([command_case.SENVEC, "embed", "-m", command_case.MODEL, *map(str, line), out,
                                        "--resume"])
            until = time.monotonic() + PATIENCE
            while process.poll() is None and time.monotonic() < until:
                if (out / MANIFEST).exists() and (out / MANIFEST).read_bytes().count(b"\n") > count:
                    process.send_signal(how)
                    break
                time.sleep(0.001)
            process.wait(PATIENCE)
        result = self.succeeds(self.embed("--key", "t", self.text, "--rows", 10, "-o", out, "--resume"))
        self.assertIn(b"had a vector from an earlier run", result.stderr)
        self.assertEqual(self.parts(out), self.parts(whole))
        self.assertEqual(self.manifest(out), self.manifest(whole))

    def test_no_room(self):
        """One line, no half part, and a run that can be gone on with."""
        out = self.path / "out"
        line = [*self.options, "--rows", 400, "--resume", "-o", out]

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))

        self.fails(self.embed(*line, preexec_fn=limit), 1, "part-000000.npy", "go on with --resume")
        self.assertEqual((self.parts(out), len(self.manifest(out))), ({}, 1))
        self.succeeds(self.embed(*line))
        self.assertEqual(len(self.parts(out)), 4)

    def test_refused(self):
        out = self.path / "out"
        line = [*self.options, "--rows", 400, "-o", out]
        self.succeeds(self.embed(*line))
        before = self.parts(out)
        self.fails(self.embed(*line), 2, "holds a run", "--resume")
        for more in (["--output-type", "int8"], ["--rows", "401"], ["--skip-bad"], ["--prompt-text", "x"], ["-fraw"],
                     ["--truncation-side", "left"]):
            self.fails(self.embed(*line, "--resume", *more), 2, "another options")
        self.fails(self.embed(*line, "--resume", "--cpu", "ref"), 2, "another model")
        self.fails(self.embed(*line, "--resume", self.file("more", b"a\n")), 2, "another inputs")
        os.utime(self.text)
        self.succeeds(self.embed(*line, "--resume"))
        self.file("a.jsonl", self.text.read_bytes().replace(b"text 7 ", b"text 8 "))
        self.fails(self.embed(*line, "--resume"), 2, "another inputs")
        self.assertEqual(self.parts(out), before)
        used = self.path / "used"
        used.mkdir()
        (used / "x").write_bytes(b"")
        self.fails(self.embed(*self.options, "--rows", 1, "-o", used), 2, "not empty")
        model = self.copy_model()
        self.fails(run("embed", "-m", model, *self.options, "--rows", 1, "-o", model), 2, "model itself")
        self.fails(self.embed(*self.options, "--rows", 1, "-o", self.text), 2, "is read as well")
        self.fails(self.embed(*self.options, "--rows", 1, "-o", used / "x"), 1, "used/x")
        new = ["--rows", "5", "-o", self.path / "n"]
        for words in (["--rows", "5"], ["--rows", "5", "-o", "-"], ["--resume"], ["--resume", "-o", out],
                      ["--rows", "0", "-o", out], [*new, "--daemon"], [*new, "--resume", "-"]):
            self.fails(self.embed("--key", "t", *words), 2, "--")
        self.assertFalse((self.path / "n").exists())

    def test_broken_manifest(self):
        for number, line in enumerate((b"x\n", b"[]\n", b'{"shard":0}\n', b'{"shard":1,"file":"a","rows":1}\n',
                                       b'{"shard":0,"file":"../a","rows":1}\n', b'{"shard":0,"file":"a","rows":401}\n',
                                       b'{"shard":0,"file":"gone","rows":1}\n')):
            out = self.path / f"out{number}"
            words = [*self.options, "--rows", 400, "-o", out]
            self.succeeds(self.embed(*words))
            first = (out / MANIFEST).read_bytes().splitlines(keepends=True)[0]
            (out / MANIFEST).write_bytes(first + line)
            self.fails(self.embed(*words, "--resume"), 1, str(out))

    def test_one_run_at_a_time(self):
        """A second run of a folder is refused while the first, which waits for its input, holds it."""
        out = self.path / "out"
        words = [command_case.SENVEC, "embed", "-m", command_case.MODEL, "-q", "--rows", "5", "-o", out, "-"]
        with subprocess.Popen(words, stdin=subprocess.PIPE) as first:
            until = time.monotonic() + PATIENCE
            while not (out / MANIFEST).exists() or not (out / MANIFEST).read_bytes():
                self.assertLess(time.monotonic(), until)
                self.assertIsNone(first.poll())
                time.sleep(0.01)
            self.fails(self.embed(*self.options, "--rows", 5, "-o", out, "--resume"), 1, "another process writes there")
            first.communicate(b"a\nb\n", PATIENCE)
        self.assertEqual(list(self.parts(out)), ["part-000000.npy"])


if __name__ == "__main__":
    main()
