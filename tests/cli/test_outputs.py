#!/usr/bin/env python3
"""test_outputs SENVEC MODEL: types of numbers, kept fields, bad records and shards of `senvec embed`, on the tiny model."""
import array
import ast
import csv
import io
import json
import math
import struct
import unittest

from command_case import DIMENSIONS, Case, main, rows_of

TEXTS = b"one\ntwo words\n\na longer text of several words\n"


def f32(value):
    """Rounded to a float, as each step of NumPy's arithmetic is."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def steps_of(value, dimensions):
    """quantize_embeddings of sentence-transformers with the ranges -r and r."""
    r = f32(min(1, 8 / math.sqrt(dimensions)))
    step = f32(f32(r + r) / 255)
    return min(max(math.floor(f32(f32(value + r) / step)), 0), 255)


class Types(Case):
    def setUp(self):
        super().setUp()
        self.text = self.file("t", TEXTS)
        self.floats = array.array("f", self.embed("-q", "-ff32", self.text).stdout)
        self.rows = [self.floats[i:i + DIMENSIONS] for i in range(0, len(self.floats), DIMENSIONS)]

    def expected(self, kind, dimensions=DIMENSIONS):
        rows = []
        for row in self.rows:
            row = row[:dimensions]
            if kind == "float16":
                rows.append([struct.unpack("<e", struct.pack("<e", value))[0] for value in row])
            elif kind in ("int8", "uint8"):
                rows.append([steps_of(value, dimensions) - (128 if kind == "int8" else 0) for value in row])
            elif kind in ("binary", "ubinary"):
                bits = "".join("1" if value > 0 else "0" for value in row)
                bits += "0" * (-len(bits) % 8)
                rows.append([int(bits[i:i + 8], 2) - (128 if kind == "binary" else 0) for i in range(0, len(bits), 8)])
            else:
                rows.append(list(row))
        return rows

    def test_each_type_in_each_format(self):
        codes = {"float32": ("f", "<f4"), "float16": ("e", "<f2"), "int8": ("b", "|i1"), "uint8": ("B", "|u1"),
                 "binary": ("b", "|i1"), "ubinary": ("B", "|u1")}
        for kind, (code, numpy) in codes.items():
            for dimensions in (DIMENSIONS, 13):
                wanted = self.expected(kind, dimensions)
                options = ["-q", "--output-type", kind, "--dimensions", str(dimensions), self.text]
                raw = self.succeeds(self.embed("-fraw", *options)).stdout
                found = struct.unpack(f"<{len(raw) // struct.calcsize(code)}{code}", raw)
                self.assertEqual(list(found), sum(wanted, []), kind)
                npy = self.succeeds(self.embed("-fnpy", *options)).stdout
                self.assertEqual(npy[128:], raw)
                header = ast.literal_eval(npy[10:128].decode())
                self.assertEqual((header["descr"], header["shape"]), (numpy, (4, len(wanted[0]))))
                lines = [json.loads(line)["embedding"] for line in self.succeeds(self.embed(*options)).stdout.splitlines()]
                table = list(csv.reader(io.StringIO(self.succeeds(self.embed("-fcsv", *options)).stdout.decode())))
                convert = f32 if kind.startswith("float") else int
                self.assertEqual([[convert(x) for x in line] for line in lines], wanted, kind)
                self.assertEqual([[convert(float(x)) for x in line] for line in table], wanted, kind)

    def test_mistakes(self):
        self.fails(self.embed("--dimensions", DIMENSIONS + 1, self.text), 2, "dimensions", str(DIMENSIONS))
        self.fails(self.embed("--dimensions", "0", self.text), 2, "--dimensions")
        self.fails(self.embed("-ff32", "--output-type", "int8", self.text), 2, "f32", "raw")
        self.fails(self.embed("--output-type", "int4", self.text), 2, "float16, int8, uint8")


class Fields(Case):
    JSON = (b'{"id":18446744073709551615,"t":"one","meta":{"name":"x, \\"y\\""}}\n'
            b'{"t":"two","id":null}\n{"t":"three","id":[1, 2.50],"meta":{"name":"z"}}\n')

    def test_jsonl_to_jsonl_and_csv(self):
        lines = self.succeeds(self.embed("-q", "--key", "t", "--keep", "id,meta.name", data=self.JSON)).stdout.splitlines()
        self.assertTrue(lines[0].startswith(b'{"index":0,"id":18446744073709551615,"meta.name":"x, \\"y\\"","embedding":['))
        self.assertTrue(lines[1].startswith(b'{"index":1,"id":null,"meta.name":null,"embedding":['))
        self.assertTrue(lines[2].startswith(b'{"index":2,"id":[1, 2.50],"meta.name":"z","embedding":['))
        plain = self.embed("-q", data=b"one\ntwo\nthree\n").stdout.splitlines()
        self.assertEqual([json.loads(line)["embedding"] for line in lines], [json.loads(line)["embedding"] for line in plain])
        table = self.succeeds(self.embed("-q", "-fcsv", "--key", "t", "--keep", "id,meta.name", data=self.JSON)).stdout
        rows = list(csv.reader(io.StringIO(table.decode())))
        self.assertEqual([row[:2] for row in rows], [["18446744073709551615", 'x, "y"'], ["", ""], ["[1, 2.50]", "z"]])
        self.assertEqual([len(row) for row in rows], [DIMENSIONS + 2] * 3)

    def test_an_array_over_several_lines(self):
        data = b'[\n{"t":"a","id":{\n"x":\n1}}]'
        line = self.succeeds(self.embed("-q", "--key", "t", "--keep", "id", data=data)).stdout
        self.assertEqual((line.count(b"\n"), json.loads(line)["id"]), (1, {"x": 1}))

    def test_csv_to_jsonl(self):
        data = b'id,t,note\n1,one,"a ""b""\nc"\n2,two,\xff\n3,three\n'
        lines = self.succeeds(self.embed("-q", "--column", "t", "--keep", "note,id", data=data)).stdout.decode().splitlines()
        found = [json.loads(line) for line in lines]
        self.assertEqual([(line["id"], line["note"]) for line in found], [("1", 'a "b"\nc'), ("2", "\ufffd"), ("3", None)])

    def test_many_fields_stay_with_their_texts(self):
        data = b"".join(b'{"id":%d,"t":"text %d","pad":"%s"}\n' % (i, i % 7, b"x" * (i % 3000)) for i in range(3000))
        lines = self.succeeds(self.embed("-q", "--key", "t", "--keep", "id,pad", data=data)).stdout.splitlines()
        alone = [json.loads(line)["embedding"] for line in
                 self.embed("-q", data=b"".join(b"text %d\n" % i for i in range(7))).stdout.splitlines()]
        self.assertEqual(len(lines), 3000)
        for i, line in enumerate(map(json.loads, lines)):
            self.assertEqual((line["index"], line["id"], len(line["pad"])), (i, i, i % 3000))
            self.assertEqual(line["embedding"], alone[i % 7])

    def test_mistakes(self):
        data = b'{"t":"a"}\n'
        for form in ("npy", "f32", "raw"):
            self.fails(self.embed("-f", form, "--key", "t", "--keep", "id", data=data), 2, "--keep", form)
        for names in ("", "id,", ",id", "id,id", "index", "embedding"):
            self.fails(self.embed("--key", "t", "--keep", names, data=data), 2, "--keep")
        self.fails(self.embed("--keep", "id", data=b"a\n"), 2, "no fields")
        self.fails(self.embed("--column", "t", "--keep", "none", data=b"t,u\na,b\n"), 2, '"none"', "t, u")


class Records(Case):
    BROKEN = b'{"t":"one"}\n{"t":\n{"u":1}\n{"t":"two"}\n'

    def test_bad_records_are_left_out_on_request(self):
        self.assertEqual(self.embed("-q", "--key", "t", data=self.BROKEN).returncode, 1)
        result = self.succeeds(self.embed("--key", "t", "--skip-bad", data=self.BROKEN))
        self.assertEqual([json.loads(line)["index"] for line in result.stdout.splitlines()], [0, 3])
        self.assertIn(b"2 bad records left out; the first: standard input: line 2", result.stderr)
        self.assertEqual(self.succeeds(self.embed("-q", "--key", "t", "--skip-bad", data=self.BROKEN)).stderr, b"")
        self.fails(self.embed("-q", "--key", "t", "--skip-bad", data=b"PAR1\x15\0"), 1, "Parquet")

    def test_shards_make_the_whole(self):
        first = self.file("a.jsonl", b"".join(b'"text %d"\n' % i for i in range(11)))
        second = self.file("b.jsonl", b"".join(b'"text %d"\n' % i for i in range(11, 25)))
        whole = [json.loads(line) for line in self.succeeds(self.embed("-q", first, second)).stdout.splitlines()]
        for shards in (1, 2, 3, 30):
            found = []
            for shard in range(1, shards + 1):
                result = self.succeeds(self.embed("-q", "--shard", f"{shard}/{shards}", first, second))
                found += [json.loads(line) for line in result.stdout.splitlines()]
            self.assertEqual(sorted(found, key=lambda line: line["index"]), whole)
        npy = self.succeeds(self.embed("-q", "-fnpy", "--shard", "2/3", first, second)).stdout
        self.assertEqual(rows_of(npy)[0], 8)
        for text in ("0/3", "4/3", "1", "1/", "/3", "a/b", "1/0", "-1/3"):
            self.fails(self.embed("--shard", text, first), 2, "--shard", text)


if __name__ == "__main__":
    main()
