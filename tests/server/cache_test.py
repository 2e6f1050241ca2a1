#!/usr/bin/env python3
"""cache_test SENVEC MODEL: the server's cache of vectors, on the tiny model: what comes from it are the bits that are
computed without it, a new text that many ask for at once is computed once, and its memory has a bound."""
import concurrent.futures
import json
import random
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import service
from service import DIMENSIONS, TEXTS, WORDS, Service, embedded, floats

RAW = {"Accept": "application/octet-stream"}


def results(s):
    return {name: s.metrics()[f'senvec_cache_texts_total{{result="{name}"}}'] for name in ("hit", "joined", "miss")}


class Cache(unittest.TestCase):
    def ask(self, s, body, headers=None):
        """Bytes of the vectors, and what x-cache says: the word, hits, texts."""
        status, answer, data = s.call("POST", "/embed", body, {**RAW, **(headers or {})})
        self.assertEqual(status, 200, data)
        found = re.fullmatch(r"(HIT|MISS|PARTIAL); hits=(\d+); texts=(\d+)", answer.get("x-cache", "MISS; hits=0; texts=0"))
        return data, (found[1], int(found[2]), int(found[3])), int(answer["x-compute-tokens"])

    def test_same_bits_with_and_without(self):
        words = "the quick brown fox it was the best of times a dog ran over hill".split()
        texts = [" ".join(random.Random(i).choices(words, k=1 + i % 90)) for i in range(300)] + TEXTS
        expected = b"".join(vector.tobytes() for vector in embedded(texts))
        with Service() as s, Service("--cache", 0) as without:
            for one in (True, False):  # all at once, then each alone, in another order
                order = list(range(len(texts))) if one else random.Random(1).sample(range(len(texts)), len(texts))
                for part in [order] if one else [[i] for i in order]:
                    size = 4 * DIMENSIONS
                    wanted = b"".join(expected[size * i:size * (i + 1)] for i in part)
                    data, cache, tokens = self.ask(s, {"inputs": [texts[i] for i in part]})
                    self.assertEqual(data, wanted)
                    self.assertEqual(cache[0] == "HIT", not one)
                    plain, _, same = self.ask(without, {"inputs": [texts[i] for i in part]})
                    self.assertEqual((plain, same), (wanted, tokens))
            body = {"inputs": "the quick brown fox"}
            self.assertEqual(self.ask(s, body)[1], ("HIT", 1, 1))
            self.assertEqual(self.ask(s, {"inputs": ["the quick brown fox", "never seen"]})[1], ("PARTIAL", 1, 2))
            self.assertEqual(self.ask(s, {"inputs": ["again and", "again and", "again and"]})[1], ("PARTIAL", 2, 3))
            for wish in ("no-cache", "no-store", "max-age=0, no-cache"):
                self.assertNotIn("x-cache", s.call("POST", "/embed", body, {"Cache-Control": wish})[1])
            self.assertNotIn("x-cache", without.call("POST", "/embed", body)[1])
            self.assertEqual(without.metrics()["senvec_cache_limit_bytes"], 0)

    def test_options_are_part_of_the_key(self):
        """Every answer equals that of a server without a cache, whatever was asked before."""
        bodies = [{"inputs": text, **more} for text in ("the dog", " the dog", "The dog", "a")
                  for more in ({}, {"normalize": False}, {"normalize": True}, {"dimensions": 8}, {"prompt_name": "query"})]
        with Service() as s, Service("--cache", 0) as without:
            for _ in range(2):
                for body in bodies:
                    self.assertEqual(self.ask(s, body)[0], self.ask(without, body)[0], body)
            one = s.json("POST", "/rerank", {"query": "a dog", "texts": ["the dog", "a fox"]})
            for _ in range(2):
                self.assertEqual(s.json("POST", "/rerank", {"query": "a dog", "texts": ["the dog", "a fox"]}), one)
            self.assertEqual(without.json("POST", "/rerank", {"query": "a dog", "texts": ["the dog", "a fox"]}), one)

    def test_side_of_truncation(self):
        """A text that is too long has a vector for each side, and both stay in the cache: they are those of the text that was
        cut by hand. Every word is one token."""
        with Service() as s, Service("--cache", 0) as without:
            kept = s.json("GET", "/info")[1]["max_input_length"] - 2
            words = WORDS[:kept + 9]
            text, cut = " ".join(words), {"Right": " ".join(words[:kept]), "Left": " ".join(words[-kept:])}
            self.assertEqual(len(s.json("POST", "/tokenize", {"inputs": text})[1][0]), len(words) + 2)
            expected = {side: self.ask(without, {"inputs": part})[0] for side, part in cut.items()}
            self.assertNotEqual(expected["Right"], expected["Left"])
            self.assertEqual(self.ask(s, {"inputs": text})[:2], (expected["Right"], ("MISS", 0, 1)))
            for side, found in ("Right", "HIT"), ("Left", "MISS"), ("Right", "HIT"), ("Left", "HIT"):
                data, cache, _ = self.ask(s, {"inputs": text, "truncation_direction": side})
                self.assertEqual((data, cache[0]), (expected[side], found), side)
            for side in cut:  # the cut text itself has the same key, whatever side is asked for
                self.assertEqual(self.ask(s, {"inputs": cut[side]})[:2], (expected[side], ("HIT", 1, 1)))
                self.assertEqual(self.ask(s, {"inputs": cut[side], "truncation_direction": "Left"})[1][0], "HIT")
            mixed = {"inputs": ["light", text, cut["Right"]], "truncation_direction": "Left"}
            self.assertEqual(self.ask(s, mixed)[0], self.ask(without, mixed)[0])

    def test_many_at_once_compute_once(self):
        with Service() as s, concurrent.futures.ThreadPoolExecutor(32) as pool:
            for turn in range(5):
                text = f"new text number {turn} " * 20
                before = results(s)
                answers = list(pool.map(lambda _, text=text: self.ask(s, {"inputs": text})[0], range(32)))
                self.assertEqual(set(answers), {embedded([text])[0].tobytes()})
                after = results(s)
                self.assertEqual(after["miss"] - before["miss"], 1)
                self.assertEqual(sum(after.values()) - sum(before.values()), 32)

    def test_bound(self):
        with Service("--cache", 1) as s:
            for turn in range(10):
                self.ask(s, {"inputs": [f"{turn} {i}" for i in range(1000)]})
                values = s.metrics()
                self.assertLessEqual(values["senvec_cache_bytes"], 1 << 20)
            self.assertEqual(values["senvec_cache_limit_bytes"], 1 << 20)
            self.assertGreater(values["senvec_cache_evicted_total"], 0)
            self.assertEqual(values['senvec_cache_texts_total{result="miss"}'], 10000)

    def test_load_is_computed(self):
        with Service() as s, tempfile.TemporaryDirectory() as folder:
            def load(*arguments):
                command = [service.SENVEC, "load", s.address, "-q", "--clients", "2", "--batch", "8", "-d", "1", "--samples",
                           "1"]
                done = subprocess.run([*command, "--json", Path(folder, "x"), *arguments], capture_output=True, text=True)
                self.assertIn(done.returncode, (0, 1), done.stderr)  # 1: on a busy machine a run of a second may not be VALID
                return done.stdout, json.loads(Path(folder, "x").read_text())["repeat"]
            said, repeat = load()
            self.assertEqual((sum(results(s).values()), repeat), (0, None))
            self.assertIn("the server is asked to compute each text", said)
            said, repeat = load("--repeat", "0.5")
            self.assertEqual(repeat, 0.5)
            self.assertIn("50 % of the texts may have been asked before", said)
            found = results(s)
            self.assertGreater(found["hit"], 0)
            self.assertGreater(found["miss"], 0)


if __name__ == "__main__":
    service.SENVEC, service.MODEL = sys.argv[1], sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
