#!/usr/bin/env python3
"""test_inputs SENVEC MODEL: what the command reads and what it must not write over, on the tiny model."""
import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import unittest
import zipfile
from pathlib import Path

from command_case import MODEL, SENVEC, Case, main, run


class Packed(Case):
    def test_gzip_and_zstd_are_read(self):
        lines = b"one\ntwo words\n" * 50
        table = b"id,t\n1,one\n2,two words\n"
        wanted, short = self.embed("-q", data=lines).stdout, self.embed("-q", data=b"one\ntwo words\n").stdout
        packers = {"gz": lambda data: gzip.compress(data)}
        if shutil.which("zstd"):
            packers["zst"] = lambda data: subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True).stdout
        for suffix, pack in packers.items():
            self.assertEqual(self.succeeds(self.embed("-q", self.file("t.txt." + suffix, pack(lines)))).stdout, wanted)
            self.assertEqual(self.succeeds(self.embed("-q", data=pack(lines))).stdout, wanted)  # standard input
            named = self.file("t.csv." + suffix, pack(table))  # the name below the packing's decides
            self.assertEqual(self.succeeds(self.embed("-q", "--column", "t", named)).stdout, short)
            ids = self.succeeds(run("tokenize", "-m", MODEL, data=pack(lines))).stdout
            self.assertEqual(ids, run("tokenize", "-m", MODEL, data=lines).stdout)
            cut = self.file("cut." + suffix, pack(lines)[:-3])
            self.assertIn(b"it was cut", self.embed("-q", cut).stderr)
            self.assertEqual(self.embed("-q", cut, "-o", self.path / "cut.npy").returncode, 1)
            self.assertFalse((self.path / "cut.npy").exists())
            self.fails(self.embed("-q", data=pack(pack(lines))), 1, "compressed twice")

    def test_other_files_are_refused(self):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("t.txt", "one\n")
        cases = {"t.xz": (lzma.compress(b"one\n"), "xz -d"), "t.bz2": (bz2.compress(b"one\n"), "bzip2 -d"),
                 "t.zip": (archive.getvalue(), "zip archive"), "utf16.txt": ("one\n".encode("utf-16"), "iconv"),
                 "utf32.txt": ("one\n".encode("utf-32"), "iconv"), "bare.txt": ("one\n".encode("utf-16-le"), "iconv"),
                 "t.parquet": (b"PAR1\x15\x04\x15\0PAR1", "Parquet"), "t.arrow": (b"ARROW1\0\0\xff\xff\xff\xff", "Arrow"),
                 "nul.txt": (b"one\0two\n", "NUL"), "m.gguf": (b"GGUF\x03\0\0\0", "-m")}
        for name, (data, word) in cases.items():
            path = self.file(name, data)
            for command in (["embed", "-q", "-m", MODEL, path, "-o", self.path / "v.npy"], ["tokenize", "-m", MODEL, path]):
                self.fails(run(*command), 1, name, word)
            self.fails(self.embed("-q", data=data), 1, "standard input", word)
            self.assertFalse((self.path / "v.npy").exists())
        self.fails(self.embed("-q", MODEL / "model.safetensors"), 1, "safetensors", "-m")


class Records(Case):
    def count(self, *arguments, **more):
        return self.succeeds(self.embed("-q", "-fcsv", *arguments, **more)).stdout.count(b"\n")

    def test_tab_separated_fields_stand_as_they_are(self):
        table = self.file("q.tsv", b'id\ttext\n1\t"Hello\n2\tworld"\n3\tx\n')
        self.assertEqual(self.count("--column", "text", table), 3)
        self.assertEqual(self.count("--column", "text", "--quoting", "csv", table), 2)

    def test_columns(self):
        self.assertEqual(self.count("--column", "2024", data=b"2023,2024\na,b\n"), 1)
        self.assertEqual(self.count("--column", "1", "--header", data=b"x,1\na,b\n"), 1)
        self.assertEqual(self.count("--column", "text", "--separator", ";", data=b"id;text\n1;a,b\n"), 1)
        self.assertEqual(self.count("--column", "2", "--separator", "tab", data=b"1\t\"a\n2\tb\n"), 2)
        for line, separator in ((b"id;text", "';'"), (b"id|text", "'|'"), (b"text;\tid|x;text", "';'")):
            self.fails(self.embed("--column", "text", data=line + b"\n"), 2, "--separator " + separator)
        self.fails(self.embed("--column", "text", data=b"id\ttext\n"), 2, "--separator tab")
        self.assertNotIn(b"--separator", self.embed("--column", "text", data=b"id;textual\n").stderr)
        for separator in ("", "ab", '"', "\n"):
            self.fails(self.embed("--column", "1", "--separator", separator, data=b"a\n"), 2, "--separator")
        self.fails(self.embed("--key", "a", "--separator", ";", data=b"a\n"), 2, "--key", "--separator")

    def test_large_numbers_beside_a_text(self):
        result = self.succeeds(run("tokenize", "-m", MODEL, "--key", "t", data=b'{"id":18446744073709551615,"t":"a"}\n'))
        self.assertEqual(result.stdout, run("tokenize", "-m", MODEL, data=b"a\n").stdout)

    def test_nested_members(self):
        self.assertEqual(self.embed("-q", "--key", "doc.text", data=b'{"doc":{"text":"a"}}\n').stdout,
                         self.embed("-q", data=b"a\n").stdout)


class Targets(Case):
    def snapshot(self, folder):
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def test_the_model_is_not_written_over(self):
        model = self.copy_model()
        text = self.file("t", b"one\n")
        self.succeeds(run("embed", "-q", "-m", model, text))  # what a first use leaves there
        before = self.snapshot(model)
        (self.path / "link.npy").symlink_to(model / "model.safetensors")
        os.link(model / "tokenizer.json", self.path / "hard.npy")
        (self.path / "dir").symlink_to(model)
        targets = [model / "model.safetensors", model / "config.json", model / "1_Pooling" / "config.json",
                   self.path / "link.npy", self.path / "hard.npy", self.path / "dir" / "vocab.txt",
                   model / ".." / "model" / "tokenizer.json", model / "pytorch_model.bin"]
        for target in targets:
            for command in (["embed", "-q", "-f", "npy", text, "-o", target], ["tokenize", text, "-o", target],
                            ["pack", target], ["quantize", "-q", "--native", target]):
                self.fails(run(command[0], "-m", model, *command[1:]), 2, "the model itself")
        for folder in (model, self.path / "dir", model / "1_Pooling"):
            for command in (["export"], ["quantize"], ["study", "-q", "-o"], ["study", "bench", "-q", "-o"]):
                self.fails(run(*command, folder, "-m", model), 2, "the model itself")
        (self.path / "onnx").mkdir()
        (self.path / "onnx" / "config.json").symlink_to(model / "config.json")
        self.fails(run("export", "-m", model, self.path / "onnx"), 2, "the model itself")
        self.assertEqual(self.snapshot(model), before)
        for _ in range(2):  # what isn't the model's may lie beside it
            self.succeeds(run("embed", "-q", "-m", model, text, "-o", model / "vectors.npy"))

    def test_a_native_file_is_not_written_over(self):
        native = self.path / "native.senvec"
        self.succeeds(run("pack", "-q", "-m", MODEL, native))
        before = native.read_bytes()
        self.fails(run("embed", "-m", native, "-f", "npy", "-o", native, data=b"a\n"), 2, "the model itself")
        self.assertEqual(native.read_bytes(), before)

    def test_the_input_is_not_written_over(self):
        text = self.file("t.jsonl", b'"one"\n')
        (self.path / "same.jsonl").symlink_to(text)
        for target in (text, self.path / "same.jsonl"):
            self.fails(self.embed("-q", text, "-o", target), 2, "is read as well")
            self.fails(run("tokenize", "-m", MODEL, text, "-o", target), 2, "is read as well")
            with open(text, "rb") as file:
                result = subprocess.run([SENVEC, "embed", "-q", "-m", MODEL, "-o", target], stdin=file, capture_output=True)
            self.fails(result, 2, "is read as well")
        self.assertEqual(text.read_bytes(), b'"one"\n')


if __name__ == "__main__":
    main()
