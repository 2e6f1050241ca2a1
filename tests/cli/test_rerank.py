#!/usr/bin/env python3
"""test_rerank SENVEC FAMILIES: `senvec rerank` on the tiny models of tests/golden/families."""
import json
import math
import shutil
import unittest

from command_case import MODEL as FAMILIES
from command_case import Case, main, run


class Rerank(Case):
    def setUp(self):
        super().setUp()
        self.model = self.bare("roberta")
        golden = json.loads((FAMILIES / "roberta/golden.json").read_text())
        self.pairs, self.logits = golden["pairs"], golden["logits"]

    def bare(self, family):
        """The checkpoint without the modules of an embedder: a cross-encoder."""
        target = self.path / family
        shutil.copytree(FAMILIES / family, target)
        (target / "modules.json").unlink()
        return target

    def rerank(self, *arguments, **more):
        return run("rerank", "-q", "-p", "fp32", "-m", self.model, *arguments, **more)

    def rows(self, *arguments, **more):
        return [json.loads(line) for line in self.succeeds(self.rerank("-f", "jsonl", *arguments, **more)).stdout.splitlines()]

    def test_scores_and_order(self):
        query = self.pairs[0][0]
        passages = [self.pairs[0][1], "music", "bread on the window", "", "the river"]
        data = "\n".join(passages).encode() + b"\n"
        rows = self.rows(query, data=data)
        self.assertEqual(sorted(row["index"] for row in rows), [0, 1, 2, 3, 4])
        self.assertEqual([row["score"] for row in rows], sorted((row["score"] for row in rows), reverse=True))
        for row in rows:
            self.assertEqual(row["text"], passages[row["index"]])
        first = next(row for row in rows if row["index"] == 0)
        self.assertAlmostEqual(first["score"], 1 / (1 + math.exp(-self.logits[0][0])), places=5)
        logits = self.rows(query, "--activation", "none", data=data)
        self.assertEqual([row["index"] for row in logits], [row["index"] for row in rows])
        self.assertAlmostEqual(next(row for row in logits if row["index"] == 0)["score"], self.logits[0][0], places=4)
        self.assertEqual(self.rows(query, "--top", "2", data=data), rows[:2])
        self.assertEqual(self.rows(query, "--top", "99", data=data), rows)

    def test_truncation_side(self):
        """Of a pair, the longer text is cut: the scores are those of what is kept of it."""
        passage = " ".join(f"{word} river" for word in "light water stone music bread train north cloud".split() * 10)
        whole = {side: self.rows("the river", "--truncation-side", side, data=passage.encode() + b"\n")[0]["score"]
                 for side in ("auto", "right", "left")}
        self.assertEqual(whole["auto"], whole["right"])
        self.assertNotEqual(whole["left"], whole["right"])
        for side, longer in ("right", passage + " garden"), ("left", "garden " + passage):
            data = longer.encode() + b"\n"
            self.assertEqual(self.rows("the river", "--truncation-side", side, data=data)[0]["score"], whole[side])

    def test_inputs(self):
        data = b"the river\nmusic\n"
        rows = self.rows("water", data=data)
        self.assertEqual(self.rows("water", self.file("a.txt", data)), rows)
        self.assertEqual(self.rows("water", self.file("b.jsonl", b'{"t": "the river"}\n{"t": "music"}\n'), "--key", "t"), rows)
        both = self.rows("water", self.file("c", b"the river\n"), self.file("d", b"music\n"))
        self.assertEqual(both, rows)
        text = self.succeeds(self.rerank("water", data=data)).stdout.decode().splitlines()
        self.assertEqual([line.split("\t")[1] for line in text], [row["text"] for row in rows])
        self.assertEqual(self.succeeds(self.rerank("water", data=b"")).stdout, b"")
        broken = self.rows("water", data=b"a \xff b\n")
        self.assertEqual(broken[0]["text"], "a \ufffd b")

    def test_mistakes(self):
        self.fails(self.rerank(), 2, "QUERY")
        self.fails(self.rerank("q", "--top", "0", data=b"x\n"), 2, "--top", "'0'")
        self.fails(self.rerank("q", "--activation", "relu", data=b"x\n"), 2, "relu")
        self.fails(self.rerank("q", self.path / "missing"), 1, "missing")
        self.fails(run("rerank", "-p", "fp32", "-m", FAMILIES / "mpnet", "q", data=b"x\n"), 1, "embedding", "reranker", "-m")
        self.fails(run("rerank", "-p", "fp32", "-m", self.bare("bert"), "q", data=b"x\n"), 1, "classifier")
        self.fails(run("embed", "-p", "fp32", "-m", self.model, data=b"x\n"), 1, "reranker", "senvec rerank")

    def test_info(self):
        self.assertIn(b"reranker", self.succeeds(run("info", "-p", "fp32", "-m", self.model)).stdout)


if __name__ == "__main__":
    main()
